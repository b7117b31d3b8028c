"""The native forms: C for the CPU, prebuilt in a wheel or compiled at first use, and called by `ctypes`."""
