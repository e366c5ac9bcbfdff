"""Fixtures that more than one room uses."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from emrobust.clinic import tables

# A machine that is busy makes no test fail: speed is measured by benchmarks.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# The longest by far: started last, it would keep one process waiting for it.
FIRST = "test_every_command_of_the_readme_runs"


@pytest.hookimpl(trylast=True)  # after the tests were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the file with the longest test first."""
    files = {item.path for item in items if item.name == FIRST}
    items.sort(key=lambda item: item.path not in files)


@pytest.fixture(scope="session")
def blocks() -> Callable[[Path, str], list[str]]:
    """The code blocks of a document that are in a language."""

    def read(document: Path, language: str) -> list[str]:
        text = document.read_text(encoding="utf-8")
        return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)

    return read


@pytest.fixture(scope="session")
def commands(blocks) -> Callable[[Path], list[str]]:
    """The commands that a document shows."""

    def read(document: Path) -> list[str]:
        return [line for block in blocks(document, "bash") for line in block.splitlines() if line]

    return read


# Of a database that lives for one test session on loopback.
PASSWORD = "s3cret-Pass"  # noqa: S105 - guards nothing


def _postgres_bin() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(installed[-1]) if installed else shutil.which("initdb")
    return Path(found).parent if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a real PostgreSQL server, empty, on a free port of loopback."""
    found = _postgres_bin()
    if found is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    # PostgreSQL refuses to run as root.
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="emrobust-pg-", dir="/tmp"))
    if user:
        shutil.chown(folder, "nobody", "nogroup")
    data, secret, port = folder / "data", folder / "secret", _free_port()
    secret.write_text(PASSWORD)
    secret.chmod(0o644)

    def run(name: str, *arguments: str) -> None:
        log = folder / f"{name}.log"
        with log.open("ab") as out:
            done = subprocess.run(
                [str(found / name), "-D", str(data), *arguments],
                **user,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        if done.returncode:
            pytest.fail(f"{name} failed: {log.read_text()[-2000:]}")

    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off -c max_connections=20"
    try:
        run("initdb", "-U", "hospital", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8",
            "--locale=C", "--no-sync")  # fmt: skip
        run("pg_ctl", "-w", "-t", "60", "-l", str(folder / "server.log"), "-o", options, "start")
        yield f"postgresql://hospital:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        if (data / "postmaster.pid").exists():
            run("pg_ctl", "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


WORDS = {"cold": "咳嗽流涕", "stomach": "腹痛腹泻", "heart": "胸闷心悸", "skin": "皮疹瘙痒"}
NOISE = "患者今日来诊无其他不适既往体健"
# For 患者, 来诊, 其他 and 往 a masked LM may write these.
WORDING = "病人就它向"


def easy_texts(rows: int, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts, one class each, and the indicator matrix with a second class on some."""
    random = np.random.default_rng(seed)
    names = np.array(list(WORDS))
    chosen = [random.permutation(4)[: 1 + (random.random() < 0.3)] for _ in range(rows)]
    texts = [
        "".join(random.choice(list(NOISE), 3 + random.integers(9)))
        + "".join(WORDS[names[k]][: 2 + random.integers(3)] for k in of_text)
        for of_text in chosen
    ]
    matrix = np.zeros((rows, 4), dtype=int)
    for row, of_text in enumerate(chosen):
        matrix[row, of_text] = 1
    return texts, names[[of_text[0] for of_text in chosen]], matrix


def write_encoder(
    folder: Path, kind: str = "bert", *, seed: int = 0, pad: int = 0, heads: bool = False
) -> Path:
    """A random encoder of two layers with a character tokenizer, as save_pretrained writes.

    ``pad`` is the padding token's number (RoBERTa's is 1); with ``heads`` it is a masked-LM.
    """
    # Late: most rooms' tests need neither.
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, PreTrainedTokenizerFast

    special = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    special.insert(pad, "[PAD]")
    words = NOISE + "".join(WORDS.values()) + (WORDING if heads else "")
    characters = sorted(set(words))
    vocabulary = {token: number for number, token in enumerate([*special, *characters])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    roles = {f"{token[1:-1].lower()}_token": token for token in special}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles).save_pretrained(folder)
    # ModernBERT's configuration checks the numbers of its special tokens, and ELECTRA's embeddings
    # have a width of their own.
    numbers = {"cls": "[CLS]", "sep": "[SEP]", "bos": "[CLS]", "eos": "[SEP]"}
    own = {
        "modernbert": {f"{k}_token_id": vocabulary[token] for k, token in numbers.items()},
        "electra": {"embedding_size": 16},
    }
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=66,
        pad_token_id=pad,
        **own.get(kind, {}),
    )
    family = AutoModelForMaskedLM if heads else AutoModel
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        family.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def easy() -> Callable[..., tuple[list[str], np.ndarray, np.ndarray]]:
    """`easy_texts`."""
    return easy_texts


@pytest.fixture(scope="session")
def random_encoder() -> Callable[..., Path]:
    """`write_encoder`."""
    return write_encoder


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random BERT."""
    return write_encoder(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def passages() -> list[str]:
    """1,500 made-up sentences; what is found together comes from one body system."""
    random = np.random.default_rng(0)
    groups: dict[str, list[str]] = {}
    for finding in tables.load().findings:
        for group in finding.groups:
            groups.setdefault(group, []).append(finding.words[0][0])
    names = [name for name, words in groups.items() if len(words) >= 6]
    return [
        f"患者{random.integers(1, 30)}天前出现"
        + "、".join(random.choice(groups[names[random.integers(len(names))]], 6, replace=False))
        + f"，T{random.integers(36, 40)}.5℃，WBC升高。"
        for _ in range(1500)
    ]
