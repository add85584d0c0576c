"""Time thesis-data against a bare uproot.iterate of the same branches, one process against two, and both layouts.

The files are made: NanoAOD of 2 MB per 10,000 events, and Dark Machines CSV. CMS compresses NanoAOD with LZMA at level
9 (NanoAODOutputModule); skims are often in zlib, which is unpacked ten times faster. All steps of a conversion count:
reading, selections, overlap removal, hashes of the input and of events, compression, the sheet. A bare tree stops at
arrays. Two processes are started as thesis-data starts them, by a script that imports little: each imports it again.
`--quick` uses a tenth of the events, once, without thresholds.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import uproot
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from _timing import Row, Timing, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once
from thesis_ml.config import parse_config
from thesis_ml.data.checks import Place
from thesis_ml.data.config import DataConfig
from thesis_ml.data.convert.assemble import Assembler
from thesis_ml.data.convert.config import ConvertConfig
from thesis_ml.data.convert.readers.branches import BranchesConfig, BranchesReader
from thesis_ml.data.convert.run import convert
from thesis_ml.data.h5_loader import read_file
from thesis_ml.data.h5_trial import try_file
from thesis_ml.utils.paths import find_configs, hash_file

N_EVENTS, N_ROUNDS = 400_000, 3
STEP = 50_000
LEAST_CSV_PER_S = 50_000
LEAST_OF_WORKERS = 1.6
LEAST_OF_RAGGED = 1.5
LEAST_OF_TRIAL = 20
"""Reading a file may cost 5% more for the look through it that comes first."""
MANY = 5
"""Half as many times the events for two processes, each of which takes half a second to start."""
MOST_MIB = 600
MOST_GROWTH = 1.1
LEAST_OF_ITERATE = 0.4
LZMA, ZLIB = uproot.LZMA(9), uproot.ZLIB(1)
CONVERT = "import sys; from convert import convert_here; print(*convert_here(*sys.argv[1:]))"


def write_nanoaod(path: Path, n_events: int, compression: uproot.compression.Compression = ZLIB) -> None:
    """Write events with jets, electrons, muons and photons."""
    generator = np.random.default_rng(0)

    def draw(n_mean: float, n: int, **columns: Callable[[int], np.ndarray]) -> ak.Array:
        counts = generator.poisson(n_mean, n)
        total = int(counts.sum())
        fields = {
            "pt": generator.exponential(40, total) + 10,
            "eta": generator.normal(0, 1.5, total).clip(-4.9, 4.9),
            "phi": generator.uniform(-np.pi, np.pi, total),
            "mass": generator.exponential(5, total),
        }
        made = {name: values.astype(np.float32) for name, values in fields.items()}
        return ak.unflatten(ak.zip({**made, **{name: column(total) for name, column in columns.items()}}), counts)

    def draw_charges(n: int) -> np.ndarray:
        return generator.choice(np.array([-1, 1], dtype=np.int32), n)

    def draw_block(start: int, n: int) -> dict[str, object]:
        return {
            "event": np.arange(start, start + n, dtype=np.uint64),
            "MET_pt": generator.exponential(40, n).astype(np.float32),
            "MET_phi": generator.uniform(-np.pi, np.pi, n).astype(np.float32),
            "Jet": draw(
                6,
                n,
                btagDeepFlavB=lambda total: generator.uniform(0, 1, total).astype(np.float32),
                jetId=lambda total: np.full(total, 6, dtype=np.int32),
            ),
            "Electron": draw(0.5, n, charge=draw_charges, cutBased=lambda total: np.full(total, 4, dtype=np.int32)),
            "Muon": draw(
                0.5,
                n,
                charge=draw_charges,
                mediumId=lambda total: np.ones(total, dtype=bool),
                pfRelIso04_all=lambda total: generator.exponential(0.1, total).astype(np.float32),
            ),
            "Photon": draw(
                0.4,
                n,
                mvaID_WP90=lambda total: np.ones(total, dtype=bool),
                electronVeto=lambda total: np.ones(total, dtype=bool),
            ),
        }

    with uproot.recreate(path, compression=compression) as file:
        for start in range(0, n_events, STEP):
            block = draw_block(start, min(STEP, n_events - start))
            if start == 0:
                file.mktree("Events", {name: ak.Array(values).type.content for name, values in block.items()})
            file["Events"].extend(block)


def write_dark_machines(path: Path, n_events: int) -> None:
    """Write rows of four to eight objects."""
    generator = np.random.default_rng(0)
    with path.open("w", encoding="ascii") as file:
        for number in range(n_events):
            n = int(generator.integers(4, 9))
            pt, eta = generator.exponential(6e4, n) + 2e4, generator.uniform(-2.8, 2.8, n)
            columns = np.stack((pt * np.cosh(eta) + 1e3, pt, eta, generator.uniform(-np.pi, np.pi, n)), axis=1)
            objects = [",".join(["j", *(f"{value:.6g}" for value in row)]) for row in columns]
            file.write(f"{number};made;1;{generator.exponential(5e4):.6g};0.5;{';'.join(objects)};\n")


def make_config(recipe: str, *overrides: str) -> ConvertConfig:
    """Return the configuration that thesis-data would have."""
    with initialize_config_dir(str(find_configs() / "convert"), version_base="1.3"):
        composed = compose(recipe, overrides=[*overrides, "overwrite=true"])
    return parse_config(ConvertConfig, OmegaConf.to_container(composed), "")


def list_branches(path: Path, config: ConvertConfig) -> list[str]:
    """Return the branches that the recipe reads."""
    reader = BranchesReader(BranchesConfig("branches", "Events"), path)
    return Assembler(config, reader.list_columns(), Place(path)).names


def iterate(path: Path, names: list[str]) -> None:
    """Read branches into awkward arrays, block by block."""
    for _ in uproot.iterate(f"{path}:Events", names, step_size=STEP):
        pass


def convert_apart(*overrides: str) -> tuple[float, float]:
    """Return how many seconds a conversion of NanoAOD in a new process takes, and the peak memory of that in MiB."""
    command = [sys.executable, "-c", CONVERT, *overrides]
    done = subprocess.run(command, cwd=Path(__file__).parent, check=True, stdout=subprocess.PIPE, text=True)
    seconds, mib = map(float, done.stdout.split())
    return seconds, mib


def convert_here(*overrides: str) -> tuple[float, float]:
    """Convert NanoAOD, and return the seconds and the peak memory of this process in MiB."""
    config = make_config("nanoaod", *overrides)
    seconds = time_once(lambda: convert(config))
    # Not ru_maxrss, which a process takes over from the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return seconds, int(status.partition("VmHWM:")[2].split()[0]) / 1024


def compare_layouts(folder: Path, source: Path, n_rounds: int) -> Row:
    """Return how fast the ragged layout is read against the table, and print the sizes of both."""
    paths = {layout: folder / f"{layout}.h5" for layout in ("table", "ragged")}
    sizes = {}
    for packing in ("gzip", "none"):
        for layout, path in paths.items():
            choices = (f"inputs={source}", f"output={path}", f"layout={layout}", f"compression={packing}")
            convert(make_config("nanoaod", *choices))
            sizes[packing, layout] = path.stat().st_size / 2**20
        shown = ", ".join(f"{layout} {sizes[packing, layout]:.1f} MiB" for layout in paths)
        print(f"compression {packing}: {shown}, ratio {sizes[packing, 'ragged'] / sizes[packing, 'table']:.2f}")
    clocks = [
        lambda path=path: time_once(lambda: read_file(path, DataConfig(path=str(path)))) for path in paths.values()
    ]
    timing = summarise_rounds(run_rounds(clocks, n_rounds))
    return Row("read: table over ragged", timing, timing.ratio, LEAST_OF_RAGGED)


def compare_workers(folder: Path, n_events: int, n_rounds: int) -> Row:
    """Return how fast two processes convert against one."""
    source = folder / "many.root"
    write_nanoaod(source, n_events)
    files = (f"inputs={source}", f"output={folder / 'out.h5'}")
    clocks = [lambda n_workers=n_workers: convert_apart(*files, f"n_workers={n_workers}")[0] for n_workers in (1, 2)]
    timing = summarise_rounds(run_rounds(clocks, n_rounds))
    return Row("one process over two", timing, timing.ratio, LEAST_OF_WORKERS)


def compare_trial(path: Path, n_rounds: int) -> Row:
    """Return how long a file is read against the look through it in another process, which is part of that."""
    clocks = [
        lambda: time_once(lambda: read_file(path, DataConfig(path=str(path)))),
        lambda: time_once(lambda: try_file(path, Place(path))),
    ]
    timing = summarise_rounds(run_rounds(clocks, n_rounds))
    return Row("read: all over the look through", timing, timing.ratio, LEAST_OF_TRIAL)


def compare_iterate(source: Path, lzma: Path, output: Path, n_rounds: int) -> list[Row]:
    """Return how long arrays are read against a conversion, of a file in zlib and of one as CMS writes it."""
    gzipped, plain = (
        make_config("nanoaod", f"inputs={source}", f"output={output}", *more) for more in ((), ("compression=none",))
    )
    of_cms = make_config("nanoaod", f"inputs={lzma}", f"output={output}")
    print_header("reference", "ours")
    rows = []
    for name, path, config, least in (
        ("uproot.iterate, file of CMS", lzma, of_cms, LEAST_OF_ITERATE),
        ("uproot.iterate, file in zlib", source, gzipped, None),
        ("the same, output not compressed", source, plain, None),
    ):
        names = list_branches(path, config)
        clocks = [
            lambda path=path, names=names: time_once(lambda: iterate(path, names)),
            lambda config=config: time_once(lambda: convert(config)),
        ]
        timing = summarise_rounds(run_rounds(clocks, n_rounds))
        rows.append(Row(name, timing, timing.ratio, least))
        print_row(rows[-1])
    print_shares(source, gzipped, plain)
    return rows


def main() -> int:
    """Print the tables and return 1 when a required number is missed."""
    is_quick = parse_quick(__doc__)
    n_events, n_rounds = (N_EVENTS // 10, 1) if is_quick else (N_EVENTS, N_ROUNDS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source, lzma, rows_csv, output = (folder / name for name in ("nano.root", "lzma.root", "dark.csv", "out.h5"))
        write_nanoaod(source, n_events)
        write_nanoaod(lzma, n_events // 4, LZMA)
        write_dark_machines(rows_csv, n_events // 4)
        rows = compare_iterate(source, lzma, output, n_rounds)
        rows.append(compare_workers(folder, n_events * MANY // 2, n_rounds))
        print_row(rows[-1])
        rows.append(compare_trial(output, n_rounds))
        print_row(rows[-1])
        dark = make_config("dark_machines", f"inputs={rows_csv}", f"output={output}")
        seconds = min(time_once(lambda: convert(dark)) for _ in range(n_rounds))
        per_s = n_events // 4 / seconds
        rows.append(Row("CSV over 50,000 events/s", Timing(1, 1, 1), per_s / LEAST_CSV_PER_S, 1.0))
        print(f"Dark Machines CSV: {per_s:,.0f} events/s")
        rows.append(compare_layouts(folder, source, n_rounds))
        print_row(rows[-1])
        print_memory(folder, rows)
    return judge(rows, is_quick=is_quick)


def print_shares(source: Path, config: ConvertConfig, plain: ConvertConfig) -> None:
    """Print which shares of a conversion are hashing of the input and compression of the output."""
    seconds, uncompressed = (time_once(lambda one=one: convert(one)) for one in (config, plain))
    hashing = time_once(lambda: hash_file(source))
    print(f"hashing the input takes {hashing / seconds:.0%}, compression {1 - uncompressed / seconds:.0%}")


def print_memory(folder: Path, rows: list[Row]) -> None:
    """Print the peak memory for one file and for six, which make 1 GB, and add it to the rows."""
    content = (folder / "many.root").read_bytes()
    peaks = []
    for n_files in (1, 6):
        sources = [folder / f"many_{number}.root" for number in range(n_files)]
        for number, source in enumerate(sources):
            # What follows the end of a ROOT file is not read, but makes it another file.
            source.write_bytes(content + bytes([number]))
        files = ",".join(map(str, sources))
        _, peak = convert_apart(f"inputs=[{files}]", f"output={folder / 'out.h5'}")
        print(f"{n_files * len(content) / 1e6:,.0f} MB of NanoAOD: peak {peak:.0f} MiB")
        peaks.append(peak)
    rows.append(Row("peak memory over 600 MiB", Timing(1, 1, 1), peaks[-1] / MOST_MIB, 1.0, is_at_most=True))
    rows.append(Row("memory of 6 files over 1", Timing(1, 1, 1), peaks[-1] / peaks[0], MOST_GROWTH, is_at_most=True))


if __name__ == "__main__":
    sys.exit(main())
