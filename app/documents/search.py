"""Which pages answer a question: BM25 over folded words.

Knows: how a question becomes a query that any user input is safe in, which words of it say nothing, how the
    best chunks become pages with their neighbours.
Does not know: SQL; whoever has an index runs the query.

Every term is optional: demanding all of them finds almost nothing (measured on Cranfield, 225 questions:
nDCG@10 of 0.007 with AND, 0.357 with OR and without stop words).

Chinese and Japanese say one thing in many words that share a character: single characters count a little
beside the pairs. Chosen on one half of the questions of ./scripts/bench retrieval, it held on the other. Left
out for what they did there: weight for headings (nothing), runs of five letters and the words of the best
pages (RM3: Abdul-Jaleel et al., UMass at TREC 2004), which cost pages that were found first before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.fold import CJK, plain, runs

# Words that stand in any question, in the plain form of fold.py.
_STOP = """
    a about all also am an and any are as at be been but by can could did do does each for from give had
    has have he her how i if in into is it its may me might much many must my of on or our she should
    show so tell that the their them then there these they this those to us was we were what when where
    which who whom whose why will with would you your please according document documents file text say
    says said mentioned
"""
STOP = frozenset(_STOP.split())
_ASKING = re.compile(  # the same in Chinese, Japanese and Korean, where words have no ends
    r"什么|甚么|怎么|怎样|如何|多少|哪些|哪个|哪里|哪一|几个|为什么|为何|是否|有没有|请问|(?:吗|呢)(?=\W|$)|根据|文档|文件中|"
    "何ですか|ですか|ますか|どのように|どこ|どの|どれ|いくつ|いつ|なぜ|とは|について|教えてください|ください|"
    "무엇입니까|무엇|입니까|어떻게|어디|언제|얼마|인가요|나요"
)
_IS_CJK = re.compile(f"[{CJK}]")
SINGLE = 0.2  # what single characters count beside pairs of them; from 0.1 to 0.3 is the same


@dataclass(frozen=True)
class Hit:
    """A page that was found. rank: BM25 of its best chunks, the smaller the better."""

    document: int
    page: int
    rank: float


Index = Callable[[str, Sequence[int], int], Sequence[Hit]]  # (query, documents, most) -> best chunks' pages


def terms(text: str) -> list[str]:
    """What is looked for, each term once: plain words, pairs of CJK characters, a single one with a star."""
    asked = _ASKING.sub(" ", plain(text))
    found: list[str] = []
    for run in runs(asked) or runs(text):
        if not _IS_CJK.match(run):
            found.append(run)
        elif len(run) == 1:
            found.append(run + "*")
        else:
            found += [run[at : at + 2] for at in range(len(run) - 1)]
    found = list(dict.fromkeys(found))
    return [term for term in found if term not in STOP] or found


def query(text: str, more: Sequence[str] = ()) -> str:
    """An FTS5 query: any of the words, all quoted, so that nothing typed is FTS5's syntax. Empty: no word.

    more: further search terms, such as the model's.
    """
    found = dict.fromkeys(term for words in (text, *more) for term in terms(words))
    wanted = [term for term in found if term not in STOP] or found
    return " OR ".join(f'"{term[:-1]}"*' if term.endswith("*") else f'"{term}"' for term in wanted)


def characters(text: str, more: Sequence[str] = ()) -> str:
    """An FTS5 query for single CJK characters, wherever they stand; empty where no word has several."""
    asked = (run for words in (text, *more) for run in runs(_ASKING.sub(" ", plain(words))))
    found = dict.fromkeys(char for run in asked if _IS_CJK.match(run) and len(run) > 1 for char in run)
    return " OR ".join(f'"{char}"*' for char in found)  # every character begins a pair, or stands alone


def search(
    index: Index, text: str, documents: Sequence[int], most: int, more: Sequence[str] = ()
) -> list[Hit]:
    """The best pages, the best first, each once."""
    ranks: dict[tuple[int, int], float] = {}
    for wanted, weight in ((query(text, more), 1.0), (characters(text, more), SINGLE)):
        best: dict[tuple[int, int], float] = {}
        for hit in index(wanted, documents, 4 * most) if wanted else ():  # several chunks may be of one page
            best.setdefault((hit.document, hit.page), hit.rank)
        for place, rank in best.items():
            ranks[place] = ranks.get(place, 0.0) + weight * rank
    found = [Hit(document, page, rank) for (document, page), rank in ranks.items()]
    return sorted(found, key=lambda hit: (hit.rank, hit.document, hit.page))[:most]
