"""Nothing a person writes becomes a control token, and all else is tokenized as the model was trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tiny_tokenizer import NONSPECIAL, SPECIAL, write_tokenizer

from mlx_backend.errors import ModelBroken, ModelMissing
from mlx_backend.glm.tokenizer import CONTROL_TEXT, Tokenizer

ADDED = [*SPECIAL, *NONSPECIAL]


# Whole spellings, pieces of them that may meet, and ordinary words, in any order.
_spellings = st.sampled_from(ADDED)
_pieces = st.builds(
    lambda text, a, b: text[min(a, b) : max(a, b)], _spellings, st.integers(0, 20), st.integers(0, 20)
)
_hostile = st.lists(st.one_of(_spellings, _pieces, st.text(max_size=8)), max_size=12).map("".join)


@given(_hostile)
def test_no_text_becomes_an_added_token(tokenizer: Tokenizer, text: str) -> None:
    assert not set(tokenizer.encode(text)) & set(tokenizer.added.values())


@pytest.mark.parametrize("text", ADDED)
def test_every_spelling_stays_words(tokenizer: Tokenizer, whole: tokenizers.Tokenizer, text: str) -> None:
    assert whole.encode(text, add_special_tokens=False).ids == [tokenizer.added[text]]  # the danger is real
    ids = tokenizer.encode(f"a{text[:3]}{text}{text} {text}")
    assert not set(ids) & set(tokenizer.added.values())
    assert b"".join(map(tokenizer.token_bytes, ids)).decode() == f"a{text[:3]}{text}{text} {text}"


@given(
    st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: not any(a in text for a in ADDED))
)
def test_other_text_is_tokenized_as_the_model_knows_it(
    tokenizer: Tokenizer, whole: tokenizers.Tokenizer, text: str
) -> None:
    assert tokenizer.encode(text) == whole.encode(text, add_special_tokens=False).ids


@given(st.one_of(_hostile, st.text(st.characters(exclude_categories=["Cs"]))))
def test_the_bytes_of_the_tokens_are_the_text(tokenizer: Tokenizer, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert b"".join(map(tokenizer.token_bytes, tokenizer.encode(text))).decode() == text


def test_half_a_surrogate_pair_becomes_the_replacement_character(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("a\ud800b") == tokenizer.encode("a\ufffdb")
    assert tokenizer.encode("\ud83d\ude00") == tokenizer.encode("😀")


def test_added_tokens_have_their_text_as_bytes_and_padding_has_none(tokenizer: Tokenizer) -> None:
    for text, id in tokenizer.added.items():
        assert tokenizer.token_bytes(id) == text.encode()
    assert tokenizer.token_bytes(tokenizer.size) == b""
    assert tokenizer.token_bytes(tokenizer.size - 1) != b""


def test_control_ids_are_looked_up(tokenizer: Tokenizer, whole: tokenizers.Tokenizer) -> None:
    for name, text in CONTROL_TEXT.items():
        assert getattr(tokenizer.control, name) == whole.token_to_id(text)
    assert len(tokenizer.control.ids) == len(CONTROL_TEXT)


def test_the_template_may_spell_control_tokens(tokenizer: Tokenizer) -> None:
    c = tokenizer.control
    assert tokenizer.split("a<think></think>\n/nothink") == ["a", c.think, c.end_think, "\n", c.nothink]
    assert tokenizer.split("") == []


def test_stop_ids_come_from_the_files_and_from_the_turns(tokenizer_folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tokenizer_folder, tmp_path / "copy"))
    bare = Tokenizer(copy)
    turns = {bare.control.endoftext, bare.control.user, bare.control.observation}
    assert bare.stop_ids == turns
    (copy / "generation_config.json").write_text('{"eos_token_id": 3}')
    (copy / "config.json").write_text('{"text_config": {"eos_token_id": [4, 5]}}')
    assert Tokenizer(copy).stop_ids == turns | {3, 4, 5}


def _damage(folder: Path, to: Path, change: object) -> Path:
    shutil.copytree(folder, to)
    file = to / "tokenizer.json"
    if isinstance(change, str):
        file.write_text(change)
    elif change is None:
        file.unlink()
    else:
        rules = json.loads(file.read_text())
        change(rules)  # type: ignore[operator]
        file.write_text(json.dumps(rules))
    return to


def _drop_think(rules: dict) -> None:
    rules["added_tokens"] = [t for t in rules["added_tokens"] if t["content"] != "<think>"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("{", "tokenizer.json"),
        ("[]", "not a JSON object"),
        ("{}", "not a tokenizer"),
        (lambda rules: rules["model"].update(type="Nonsense"), "not a tokenizer"),
        (lambda rules: rules.update(added_tokens=[{"id": 1}]), "not a tokenizer"),
        (_drop_think, "no token <think>"),
    ],
)
def test_a_damaged_file_is_named(tokenizer_folder: Path, tmp_path: Path, change: object, says: str) -> None:
    with pytest.raises(ModelBroken) as caught:
        Tokenizer(_damage(tokenizer_folder, tmp_path / "damaged", change))
    assert says in str(caught.value)
    assert caught.value.file.endswith("tokenizer.json")


def test_an_absent_file_or_folder_is_named(tokenizer_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing) as caught:
        Tokenizer(_damage(tokenizer_folder, tmp_path / "absent", None))
    assert caught.value.missing == ["tokenizer.json"]
    with pytest.raises(ModelMissing):
        Tokenizer(tmp_path / "nowhere")


def test_a_damaged_config_beside_it_is_named(tokenizer_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tokenizer_folder, tmp_path / "copy")
    (tmp_path / "copy" / "config.json").write_text("{")
    with pytest.raises(ModelBroken, match=r"config\.json"):
        Tokenizer(tmp_path / "copy")


def test_truncation_and_padding_in_the_file_do_not_touch_a_prompt(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    full = tokenizers.Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    full.enable_truncation(4)
    full.enable_padding(length=64)
    shutil.copytree(tokenizer_folder, tmp_path / "copy")
    full.save(str(tmp_path / "copy" / "tokenizer.json"))
    text = "one two three four five six seven eight"
    assert Tokenizer(tmp_path / "copy").encode(text) == Tokenizer(tokenizer_folder).encode(text)


def test_the_tiny_tokenizer_is_the_same_on_every_run(tokenizer_folder: Path, tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / file).read_bytes() == (tokenizer_folder / file).read_bytes()
