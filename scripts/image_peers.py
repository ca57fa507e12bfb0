#!/usr/bin/env python3
"""Prints Markdown tables that set `weft image` beside other libraries, measured in the same run on pictures drawn here.

Usage: image_peers.py [--weft PATH] [--only NAME] [--threads N] [--gpu] [--sizes N,N,...]

Peers come from PyPI: opencv-contrib-python-headless scipy edt numpy pillow; with --gpu numpy, pillow and cupy-cuda13x (or 12x). A peer that isn't
installed is left out. Times are medians of calls that follow each other, on pixels in memory, into storage that exists where a peer can take it; those of
weft are what `--measure` says.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image


def optional(module):
    try:
        return __import__(module, fromlist=["_"])
    except ImportError:
        return None


def median_ms(call, finish=lambda: None, seconds=0.5):
    call()
    finish()
    times = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        finish()
        times.append(time.perf_counter() - start)
    return 1e3 * sorted(times)[len(times) // 2]


def weft_image(arguments, options):
    """What `weft image` prints as JSON."""
    device = "cuda" if options.gpu else "cpu"
    command = [options.weft, "image", *arguments, "--measure", "--json", "--device", device]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def print_table(rows):
    print("| " + " | ".join(rows[0]) + " |")
    print("|---|" + "---:|" * (len(rows[0]) - 1))
    for row in rows[1:]:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


# Distance transforms ---------------------------------------------------------------------------------------------------


def circles(size, random):
    """Twenty discs, 1/40 to 3/40 of the picture in radius."""
    picture = np.zeros((size, size), bool)
    down, across = np.ogrid[:size, :size]
    for _ in range(20):
        y, x, radius = random.integers(size), random.integers(size), size // 40 + random.integers(size // 20)
        rows, columns = slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1)
        picture[rows, columns] |= (down[rows] - y) ** 2 + (across[:, columns] - x) ** 2 <= radius * radius
    return picture


DISTANCE_PICTURES = {
    "1 %": lambda size, random: random.random((size, size)) < 0.01,
    "50 %": lambda size, random: random.random((size, size)) < 0.5,
    "circles": circles,
}


def distance_peers(sites, options):
    """Name and time of each peer, and what it computes."""
    zeros = ~sites
    if options.gpu:
        if cupy := optional("cupy"):
            from cupyx.scipy.ndimage import distance_transform_edt

            on_gpu = cupy.asarray(zeros)
            call = lambda: distance_transform_edt(on_gpu, float64_distances=False)
            yield "CuPy", median_ms(call, cupy.cuda.Device().synchronize), call().get()
        return
    if cv2 := optional("cv2"):
        cv2.setNumThreads(options.threads)
        picture, into = zeros.astype(np.uint8), np.empty(zeros.shape, np.float32)
        call = lambda: cv2.distanceTransform(picture, cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dst=into)
        yield "OpenCV", median_ms(call), into
    if edt := optional("edt"):
        call = lambda: edt.edt(zeros, parallel=options.threads)
        yield "edt", median_ms(call), call()
    if ndimage := optional("scipy.ndimage"):
        into = np.empty(zeros.shape)
        call = lambda: ndimage.distance_transform_edt(zeros, distances=into)
        yield "SciPy", median_ms(call), into.astype(np.float32)


def distance(options, folder):
    rows = []
    for size in options.sizes:
        for name, draw in DISTANCE_PICTURES.items():
            sites = draw(size, np.random.default_rng(size))
            path, result = os.path.join(folder, "in.png"), os.path.join(folder, "out.npy")
            Image.fromarray(sites.astype(np.uint8) * 255).save(path, compress_level=1)
            ours = weft_image(["distance", path, result], options)
            distances = np.load(result)
            row, header = [f"{size}^2, {name}", f"{ours['ms']:.3g}"], ["sites", "weft, ms"]
            for peer, ms, theirs in distance_peers(sites, options):
                row += [f"{ms:.3g}", f"{ms / ours['ms']:.1f}", str(np.count_nonzero(theirs != distances))]
                header += [f"{peer}, ms", "/ weft", "differ"]
            row += [f"{ours['floor_ms']:.2g}"]
            header += ["copy, ms"]
            rows = rows or [header]
            rows.append(row)
    print_table(rows)


MEASUREMENTS = {"distance": distance}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weft", default="build/release/weft")
    parser.add_argument("--only", choices=MEASUREMENTS)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--gpu", action="store_true", help="weft and its peers on the GPU")
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=[1024, 2048, 4096])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for measurement in [given.only] if given.only else MEASUREMENTS:
            MEASUREMENTS[measurement](given, scratch)
