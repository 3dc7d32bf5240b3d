"""From a CSV to summaries in SQL: conversations a second with everything real, beside the engine alone.

python -m bench.end_to_end --num-conversations 64               # the packaged model on the CPU
python -m bench.end_to_end --model DIR --gpus 0                 # `bench.scaling` has several sets of GPUs
python -m bench.end_to_end --model DIR --simulated              # a device that only waits; DIR holds a tokenizer

Ledger and queue are fresh. Once all workers serve, which is the start-up shown, a submission of their own warms them
up. Completions have a fixed length where the model's weights are random.
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
from typing import Literal

from sqlalchemy import Engine

from aftercall import schema
from aftercall.broker import Broker
from aftercall.database import connect
from aftercall.embedded import embedded_broker
from aftercall.ledger import account
from aftercall.ledger.workers import alive
from aftercall.settings import PACKAGED_MODEL, Settings
from aftercall.sweep import Sweeper
from bench.postgres import postgres
from bench.timing import host
from bench.timing.spans import SPANS_VARIABLE, describe, load, within
from bench.timing.timeline import read_night, report, slow
from bench.workload import TWEETSUMM, read_conversations
from producer.source import open_source
from producer.submit import submit
from worker.gpus import choose_gpus

#: For each device. On a GPU enough for every size of step, since what a size needs is made when it first comes.
NUM_WARM_UP = {"cpu": 4, "cuda": 2_048}


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
    with postgres(folder) as url:
        yield url


@contextmanager
def workers(
    gpus: str, settings: Settings, args: argparse.Namespace, spans: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """`aftercall worker` with these GPUs, its engines timed."""
    command = [sys.executable, "-m", "bench.timing.worker", *(["--simulated"] if args.simulated else ["--gpus", gpus])]
    with (Path(args.log_dir) / f"workers-{gpus.replace(',', '')}{args.label}.log").open("w") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **settings.to_environment(), SPANS_VARIABLE: str(spans)},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def run_source(path: Path, settings: Settings, engine: Engine, running: "subprocess.Popen[bytes]") -> tuple[int, float]:
    """Submit a source and wait for its last job; the number done and the seconds from start to end."""
    broker = Broker(settings)
    started = time.perf_counter()
    with open_source(str(path)) as source:
        report = submit(source, engine, Sweeper(engine, broker, settings), path.with_suffix(".rejected"))
    while (standing := account.account(engine, report.submission_id)).open:
        check(running)
        time.sleep(0.1)
    elapsed_s = time.perf_counter() - started
    broker.close()
    return standing.done, elapsed_s


def num_warm_up(gpus: str) -> int:
    """Conversations for each device before the clock starts."""
    return NUM_WARM_UP["cpu" if gpus == "none" else "cuda"]


def settings_of(args: argparse.Namespace, **places: str) -> Settings:
    """The workers' settings; those of the engine alone too."""
    return Settings(
        data_dir=args.cache,
        base_model=args.model,
        quantization=args.quantization,
        adapter=args.adapter,
        max_new_tokens=args.max_new_tokens,
        chunk_size=args.chunk_size,
        **places,
    )


def wait_for(num_workers: int, engine: Engine, running: "subprocess.Popen[bytes]") -> float:
    """Wait until all workers serve; the seconds that took."""
    started = time.perf_counter()
    while sum(live.worker.adapter_digest is not None for live in alive(engine)) < num_workers:
        check(running)
        time.sleep(0.1)
    return time.perf_counter() - started


def check(running: "subprocess.Popen[bytes]") -> None:
    """Raises SystemExit if the workers are gone."""
    if running.poll() is not None:
        raise SystemExit("the workers ended; see their log in the folder of --log-dir")


def measure(gpus: str, args: argparse.Namespace) -> float:
    """Conversations a second from CSV to SQL on a set of GPUs."""
    num_devices = len(gpus.split(","))
    with (
        tempfile.TemporaryDirectory() as name,
        embedded_broker(Path(name)) as redis_url,
        database(Path(name), args.database) as database_url,
    ):
        folder, spans = Path(name), Path(name) / "spans"
        spans.mkdir()
        settings = settings_of(args, database_url=database_url, redis_url=redis_url)
        engine = connect(settings.ledger_url)
        schema.upgrade(engine)
        write_source(folder / "warm.csv", num_warm_up(gpus) * num_devices, "warm", args.data)
        for number in range(args.nights):
            write_source(folder / f"{number}.csv", args.num_conversations * num_devices, f"night {number}", args.data)
        nights = []
        with workers(gpus, settings, args, spans) as running:
            serving_s = wait_for(num_devices, engine, running)
            _, warm_up_s = run_source(folder / "warm.csv", settings, engine, running)
            for number in range(args.nights):
                started_s = time.time()
                done, elapsed_s = run_source(folder / f"{number}.csv", settings, engine, running)
                nights.append((done, elapsed_s, read_night(engine, started_s)))
        engine.dispose()
        steps = load(spans)
        print(f"start-up {serving_s:.1f} s until all serve, then {warm_up_s:.1f} s of warm-up", end="; ")
        print(slow(within(steps, 0.0, nights[0][2].started_s)))
        for done, elapsed_s, night in nights:
            rate = done / elapsed_s
            print(f"gpus {gpus:8} {rate:8.1f} conversations/s  {done} in {elapsed_s:.2f} s")
            print(report(night, steps, num_devices))
            print(host.describe(spans, night.started_s, night.started_s + elapsed_s), flush=True)
    return rate


def measure_engine(gpus: str, args: argparse.Namespace) -> float:
    """Conversations a second of the engine alone on the first GPU: the same prompts, in one call, in this process."""
    device: Literal["cpu", "cuda"] = "cpu" if gpus == "none" else "cuda"
    if device == "cuda" and not args.simulated:
        # Read by torch when it is first imported, which is now.
        os.environ["CUDA_VISIBLE_DEVICES"] = choose_gpus(gpus)[0].device
    from bench.timing.timed import load_simulated, load_timed
    from producer.clean import clean_conversation
    from worker.serving.prompts import PromptEncoder

    with tempfile.TemporaryDirectory() as name:
        os.environ[SPANS_VARIABLE] = name
        path = Path(name) / "night.csv"
        write_source(path, args.num_conversations, "night", args.data)
        settings = settings_of(args, database_url=f"sqlite:///{name}/aftercall.db")
        engine = connect(settings.ledger_url)
        schema.upgrade(engine)
        served = load_simulated(settings, engine) if args.simulated else load_timed(settings, engine, device)
        with open_source(str(path)) as source:
            texts = [clean_conversation(row.conversation).text for row in source if hasattr(row, "conversation")]
        encoder = PromptEncoder(served.tokenizer, served.profile)
        prompts = [encoder.encode(text, served.engine.max_prompt_tokens).token_ids for text in texts]
        served.engine.generate(prompts[: num_warm_up(gpus)])
        started_s = time.time()
        served.engine.generate(prompts)
        elapsed_s = time.time() - started_s
        served.engine.close()
        spans = within(load(Path(name)), started_s, started_s + elapsed_s)
    rate = len(prompts) / elapsed_s
    print(f"engine alone  {rate:8.1f} conversations/s  {describe(spans, len(prompts), elapsed_s)}", flush=True)
    return rate


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every end-to-end measurement has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=PACKAGED_MODEL, help="base model, as in AFTERCALL_BASE_MODEL")
    parser.add_argument("--adapter", default="none")
    parser.add_argument("--quantization", default="none")
    parser.add_argument("--simulated", action="store_true", help="a device that only waits, instead of a GPU")
    parser.add_argument("--num-conversations", type=int, default=8_000, help="for each device")
    parser.add_argument("--max-new-tokens", type=int, default=40)
    parser.add_argument("--chunk-size", type=int, default=32)
    parser.add_argument("--nights", type=int, default=1, help="how many, one after the other, for the same workers")
    parser.add_argument("--label", default="", help="part of the names of the files in --log-dir")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--data", type=Path, default=TWEETSUMM, help="folder with TweetSumm's train.jsonl")
    parser.add_argument("--cache", type=Path, default=Path("aftercall-data"), help="folder of the model cache")
    parser.add_argument("--log-dir", default=tempfile.gettempdir())
    return parser


def main() -> None:
    """Print the rate of the whole way, of the engine alone, and their ratio."""
    parser = options(__doc__)
    parser.add_argument("--gpus", default="none", help="none, or numbers such as 0,1")
    parser.add_argument("--skip-engine", action="store_true", help="do not measure the engine alone")
    args = parser.parse_args()
    rate = measure(args.gpus, args)
    if not args.skip_engine:
        print(f"end to end on {args.gpus}: {rate / measure_engine(args.gpus, args):.1%} of the engine alone")


if __name__ == "__main__":
    main()
