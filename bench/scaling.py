"""Several GPUs of one host: conversations a second from CSV to SQL on 1, 2 and 4 of them, and how that grows.

python -m bench.scaling --model DIR                             # GPU 0, then 0,1, then 0,1,2,3
python -m bench.scaling --model DIR --gpus 0 --gpus 0,1

One submission feeds all workers through one ledger and one queue; it grows with the GPUs. Otherwise as
`bench.end_to_end`, whose options this has.
"""

from bench.end_to_end import measure, options

GPUS = ("0", "0,1", "0,1,2,3")


def main() -> None:
    """Print the measurements as they come, then a table of them."""
    parser = options(__doc__)
    parser.add_argument("--gpus", action="append", help="numbers such as 0,1; may be given several times")
    args = parser.parse_args()
    rates = {gpus: measure(gpus, args) for gpus in args.gpus or GPUS}
    base_gpus, base = next(iter(rates.items()))
    print(f"{'GPUs':>8} {'conversations/s':>16} {'times ' + base_gpus:>10}")
    for gpus, rate in rates.items():
        print(f"{gpus:>8} {rate:>16.1f} {rate / base:>10.2f}")


if __name__ == "__main__":
    main()
