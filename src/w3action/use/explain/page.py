"""One page that shows an explanation: the prediction, the three pictures and the film, and how to read each.

The pictures are inside the page, the film lies beside it (browsers seek in a file, not in a page).
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment


class Section(NamedTuple):
    """A part of the page: a heading, a sentence on how to read what follows, and a file (or None: words alone)."""

    heading: str
    sentence: str
    file: Path | None


def write_page(
    path: Path,
    *,
    video: str,
    prediction: Sequence[tuple[str, float]],
    sections: Sequence[Section],
    facts: Sequence[tuple[str, str]],
) -> None:
    """Write the page.

    Args:
        path: an .html file, in the folder of the sections' files.
        video: name of the video.
        prediction: classes and probabilities to list, most probable first.
        sections: in order; .png files are embedded, others are films.
        facts: names and values for the foot of the page.
    """
    shown = [(section, _embed(section.file)) for section in sections]
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(_TEMPLATE)
    html = page.render(video=video, prediction=prediction, sections=shown, facts=facts)
    path.write_text(html, encoding="utf-8")


def _embed(file: Path | None) -> str | None:
    if file is None or file.suffix != ".png":
        return None
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"


_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ prediction[0][0] }} – {{ video }}</title>
<style>
  body { margin: 0 auto; max-width: 1080px; padding: 40px 24px 64px; background: #fff; color: #1f2328;
         font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
  h1 { font-size: 26px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
  h2 { font-size: 19px; margin: 48px 0 4px; padding-top: 20px; border-top: 1px solid #d0d7de; }
  p { margin: 4px 0 16px; max-width: 76ch; color: #424a53; }
  .video { color: #6a737d; margin: 6px 0 20px; overflow-wrap: anywhere; }
  table { border-collapse: collapse; font-size: 15px; }
  td { padding: 3px 16px 3px 0; vertical-align: middle; overflow-wrap: anywhere; }
  td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
  .bar { display: block; width: 180px; height: 8px; background: #eaeef2; border-radius: 4px; overflow: hidden; }
  .bar span { display: block; height: 100%; background: #1f2328; }
  img, video { display: block; width: 100%; height: auto; }
  video { max-width: 720px; background: #121214; border-radius: 4px; }
  footer { margin-top: 48px; padding-top: 16px; border-top: 1px solid #d0d7de; color: #6a737d; }
  footer td { font-size: 13px; color: #6a737d; }
</style>
</head>
<body>
<h1>{{ prediction[0][0] }}, {{ "%.1f"|format(100 * prediction[0][1]) }} %</h1>
<p class="video">{{ video }}</p>
<table>
{% for name, probability in prediction %}
  <tr><td>{{ name }}</td>
  <td><span class="bar"><span style="width: {{ "%.2f"|format(100 * probability) }}%"></span></span></td>
  <td class="number">{{ "%.1f"|format(100 * probability) }} %</td></tr>
{% endfor %}
</table>
{% for section, embedded in sections %}
<h2>{{ section.heading }}</h2>
<p>{{ section.sentence }}</p>
{% if embedded %}
<a href="{{ section.file.name|urlencode }}"><img src="{{ embedded }}" alt="{{ section.heading }}"></a>
{% elif section.file %}
<video src="{{ section.file.name|urlencode }}" autoplay controls loop muted playsinline></video>
{% endif %}
{% endfor %}
<footer><table>
{% for name, value in facts %}
  <tr><td>{{ name }}</td><td>{{ value }}</td></tr>
{% endfor %}
</table></footer>
</body>
</html>
"""
