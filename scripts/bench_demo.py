"""What the demo model can do: the app's engine on held-out pictures, clips and evidence, skill by skill.

Knows: how an exam is run and printed. Does not know: what is asked (demo/exam.py), how a model answers.

With --ways the same questions go to the model quantized, in other chunks, without reuse and so on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from demo.exam import LABELS, LIMITS, SKILLS, Answer, Mark, grade, items, score
from demo.variants import ways

from mlx_backend import Engine, Event, Request

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "assets" / "demo-model"
MIXED = ("describe", "count", "locate", "read", "change", "video", "chat", "quote")  # asked of every way


def sit(skill: str, number: int, answer: Answer) -> list[Mark]:
    """Ask `number` questions of a skill, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        return [grade(item, answer, Path(folder)) for item in items(skill, number)]


def line(skill: str, marks: list[Mark], seconds: float) -> str:
    limit = f"{LIMITS[skill]:>5}" if LIMITS[skill] else "    –"
    text = (
        f"  {LABELS[skill]:<46}{limit}  {score(skill, marks):>6.1f} %  of {len(marks):<5} {seconds:>6.1f} s"
    )
    if skill == "think":
        true = sum(bool(mark.true_reasoning) for mark in marks) / len(marks)
        right = sum(mark.right for mark in marks) / len(marks)
        text += f"   (reasoning true {100 * true:.1f} %, answer right {100 * right:.1f} %)"
    return text


def misses(marks: list[Mark], most: int) -> Iterator[str]:
    for mark in [mark for mark in marks if not mark.right][:most]:
        wanted = "".join(getattr(part, "text", "") for part in mark.item.ask.answer)
        yield f"      {mark.item.ask.question!r}: {mark.said!r}, not {wanted!r}"


def compare_ways(folder: Path, number: int) -> None:
    """Right answers of every way of computing, and how many differ from those of the plain way."""
    plain: list[str] = []
    print(f"{'way':<48}{'right':>8}  {'locate':>8}  other words than as it is")
    with tempfile.TemporaryDirectory() as scratch:
        for name, make in ways(folder, Path(scratch)):
            answer = make()
            marks = {skill: sit(skill, number, answer) for skill in MIXED}
            every = [mark for skill in MIXED for mark in marks[skill]]
            said = [mark.said for mark in every]
            plain = plain or said
            right = 100 * sum(mark.right for mark in every) / len(every)
            other = sum(a != b for a, b in zip(plain, said, strict=True))
            located = score("locate", marks["locate"])
            print(f"  {name:<46}{right:>6.1f} %  {located:>6.1f} %  {other} of {len(every)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench demo", description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=DEMO, help="a checkpoint trained by make_demo_model")
    parser.add_argument("--number", type=int, default=200, help="questions of each skill")
    parser.add_argument("--skill", choices=SKILLS, action="append", help="only this one; may be repeated")
    parser.add_argument("--misses", type=int, default=0, help="show so many wrong answers of each skill")
    parser.add_argument("--ways", action="store_true", help="quantized, in chunks, without reuse: compared")
    args = parser.parse_args()
    if args.ways:
        compare_ways(args.model, args.number)
    else:
        table(args)


def table(args: argparse.Namespace) -> None:
    """The scores of each skill, as the app's own engine answers."""
    print(f"{'skill':<48}{'asked':>5}  {'score':>8}")
    unasked = 0
    with Engine(args.model) as engine:

        def answer(request: Request) -> Iterator[Event]:
            return iter(engine.stream(request))

        for skill in args.skill or SKILLS:
            start = time.monotonic()
            marks = sit(skill, args.number, answer)
            print(line(skill, marks, time.monotonic() - start), flush=True)
            print("".join(f"{miss}\n" for miss in misses(marks, args.misses)), end="")
            unasked += sum(bool(mark.reasoning.strip()) and not mark.item.thinking for mark in marks)
    print(f"  reasoning where none was asked for: {unasked} answers")


if __name__ == "__main__":
    main()
