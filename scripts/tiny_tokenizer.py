"""Write a small byte-level BPE tokenizer of GLM's form, with the added tokens and the chat template.

Knows: the added tokens of GLM-4.5V in their order, a page of English to learn merges from.
Does not know: the real vocabulary; ids differ from it, which is the point of testing with this one.
The same files come out on every run.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

BASE_VOCABULARY = 480  # 256 bytes and as many merges as a page of text carries

SPECIAL = [
    "<|endoftext|>",
    "[MASK]",
    "[gMASK]",
    "[sMASK]",
    "<sop>",
    "<eop>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|observation|>",
    "<|begin_of_image|>",
    "<|end_of_image|>",
    "<|begin_of_video|>",
    "<|end_of_video|>",
    "<|begin_of_audio|>",
    "<|end_of_audio|>",
    "<|begin_of_box|>",
    "<|end_of_box|>",
    "<|image|>",
    "<|video|>",
]
NONSPECIAL = [
    "/nothink",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<arg_key>",
    "</arg_key>",
    "<arg_value>",
    "</arg_value>",
    "<tool_response>",
    "</tool_response>",
]

# How GLM-4.5 cuts text into words before merging: contractions, words with the character before them,
# numbers of at most three digits, punctuation with its newlines, runs of newlines, runs of spaces.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

TEMPLATE = Path(__file__).with_name("chat_template.jinja")

CORPUS = """\
What is in this picture? Describe the video, please. Which of the two images shows the older bridge?
The picture shows a harbour in the evening: three boats, a crane and a row of houses behind the water.
There are four people at the table. The first is reading, the second is pouring tea, and the others talk.
Read the text on the sign and translate it. The sign says that the shop is open from nine to five.
The chart compares the years 2019 to 2024; the highest bar is at 87 and the lowest at 12 percent.
In the first image the red car is on the left; in the second image it is on the right, near the tree.
Find the cat and give its place as a box. The cat is lying under the chair, between the lamp and the wall.
At 0:42 the player passes the ball and at 1:05 the keeper catches it. Then the game is interrupted.
The table has three columns: name, price and quantity. The total of the last column is 1,250.00.
The answer is 42. The answer is not in the document. I am not sure; the text is too small to be read.
Let me think about this step by step. First I look at the whole image, then at each part of it.
You are a helpful assistant. Answer in the language of the question, briefly, and say what you cannot see.
You may call one or more functions to assist with the user query. The function returns the weather.
Write a short story about a lighthouse that wanted to travel. Once upon a time there was a lighthouse.
Thank you, that is what I wanted to know. How many windows does the building have on the third floor?
"""

LINES = CORPUS.splitlines(keepends=True)


def _untrained() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def build(corpus: Sequence[str] = LINES, size: int = BASE_VOCABULARY) -> Tokenizer:
    """The trained tokenizer, its added tokens after the learned vocabulary, special ones first."""
    tokenizer = _untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in NONSPECIAL])
    return tokenizer


def _settings(tokenizer: Tokenizer) -> dict[str, object]:
    added = {
        str(tokenizer.token_to_id(text)): {
            "content": text,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": text in SPECIAL,
        }
        for text in (*SPECIAL, *NONSPECIAL)
    }
    return {
        "added_tokens_decoder": added,
        "additional_special_tokens": SPECIAL,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|endoftext|>",
        "model_max_length": 65536,
        "pad_token": "<|endoftext|>",
        "padding_side": "left",
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def write_tokenizer(folder: Path, corpus: Sequence[str] = LINES, size: int = BASE_VOCABULARY) -> int:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja; returns the vocabulary size,
    added tokens included. corpus, size: what merges are learned from, and how many tokens with the bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build(corpus, size)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = json.dumps(_settings(tokenizer), indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(settings + "\n", encoding="utf-8")
    shutil.copyfile(TEMPLATE, folder / "chat_template.jinja")
    return tokenizer.get_vocab_size(with_added_tokens=True)


if __name__ == "__main__":
    print(f"{write_tokenizer(Path(sys.argv[1]))} tokens in {sys.argv[1]}")
