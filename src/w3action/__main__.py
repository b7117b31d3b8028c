"""`python -m w3action` is `w3`."""

from w3action.cli import main

if __name__ == "__main__":
    main()
