#!/usr/bin/env python3
"""Prints Markdown tables that set `weft image` beside other libraries, measured in the same run: distances on pictures drawn here, lines on scikit-image's.

Usage: image_peers.py [--weft PATH] [--only NAME] [--threads N] [--gpu] [--sizes N,N,...] [--pictures FOLDER] [--overlays FOLDER]

Peers come from PyPI: opencv-contrib-python-headless scipy edt scikit-image numpy pillow; with --gpu numpy, pillow and cupy-cuda13x (or 12x). A peer that isn't
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


def weft_image(arguments, options, json_option=("--json",)):
    """What `weft image` prints as JSON."""
    device = "cuda" if options.gpu else "cpu"
    command = [options.weft, "image", *arguments, "--measure", *json_option, "--device", device]
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


# Lines ---------------------------------------------------------------------------------------------------------------

cv2, data, util = optional("cv2"), optional("skimage.data"), optional("skimage.util")


# Those in which either finds lines.
PICTURES = ("astronaut", "brick", "camera", "cat", "clock", "coffee", "grass", "horse", "immunohistochemistry", "logo", "page", "retina", "rocket")
PICTURES += ("shepp_logan_phantom", "stereo_motorcycle", "text")


def grey(name):
    picture = getattr(data, name)()
    picture = util.img_as_ubyte(picture[0] if isinstance(picture, tuple) else picture)
    return picture if picture.ndim == 2 else cv2.cvtColor(picture[..., :3], cv2.COLOR_RGB2GRAY)


def pictures(options):
    """Names and grey pixels."""
    if not options.pictures:
        return [(name, grey(name)) for name in PICTURES]
    found = [(name, cv2.imread(os.path.join(options.pictures, name), cv2.IMREAD_GRAYSCALE)) for name in sorted(os.listdir(options.pictures))]
    return [(os.path.splitext(name)[0], picture) for name, picture in found if picture is not None]


def mosaic(width, height):
    """Photographs and textures of 512 x 512 side by side: scikit-image has no larger pictures."""
    tiles = [grey(n) for n in ("camera", "brick", "astronaut", "grass", "moon", "gravel")]
    tiles += [cv2.resize(grey("coffee")[:, :400], (512, 512)), cv2.resize(grey("rocket")[:, :427], (512, 512))]
    rows = [np.hstack([tiles[(3 * i + 5 * j) % 8] for j in range(-(-width // 512))]) for i in range(-(-height // 512))]
    return np.ascontiguousarray(np.vstack(rows)[:height, :width])


def lengths(lines):
    return np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])


def weft_lines(picture, folder, options, *arguments):
    """Lines and milliseconds."""
    path = os.path.join(folder, "in.png")
    Image.fromarray(picture).save(path, compress_level=1)
    record = weft_image(["lines", path, *arguments], options, ("--json", "-"))
    return np.array([line["ends"] for line in record["lines"]], float).reshape(-1, 4), record["ms"]


def edge_drawing(picture, least=32):
    """OpenCV's with weft's default settings: its picture is 0..255, its distances are pixels."""
    p = cv2.ximgproc.EdgeDrawing.Params()
    p.EdgeDetectionOperator = 1  # Sobel
    p.SumFlag = False  # the root of the sum of squares
    p.GradientThresholdValue = 51
    p.AnchorThresholdValue = 0
    p.ScanInterval = 32
    p.Sigma = 2.0
    p.MinLineLength = least
    p.LineFitErrorThreshold = 1.0
    p.MaxDistanceBetweenTwoLines = max(2.0, 0.0025 * float(np.hypot(*picture.shape)))
    p.NFAValidation = True
    detector = cv2.ximgproc.createEdgeDrawing()
    detector.setParams(p)

    def call():
        detector.detectEdges(picture)
        return detector.detectLines()

    return call


def peer_lines(picture, least=32):
    found = edge_drawing(picture, least)()
    lines = np.zeros((0, 4)) if found is None else found.reshape(-1, 4).astype(float)
    return lines[lengths(lines) >= least]


def matched(lines, others):
    """For each line, whether others within 2 degrees and 1.5 pixels cover more than half of it."""
    result = np.zeros(len(lines), bool)
    for i, line in enumerate(lines):
        p, q = line[:2], line[2:]
        length = np.hypot(*(q - p))
        u = (q - p) / length
        parts = []
        for other in others:
            r, s = other[:2], other[2:]
            v = (s - r) / np.hypot(*(s - r))
            low, high = np.clip(sorted([np.dot(r - p, u), np.dot(s - p, u)]), 0, length)
            if high <= low or abs(u[0] * v[1] - u[1] * v[0]) > np.sin(np.radians(2)):
                continue
            middle = p + u * (low + high) / 2 - r
            if abs(middle[0] * v[1] - middle[1] * v[0]) < 1.5:
                parts.append((low, high))
        covered = end = 0.0
        for low, high in sorted(parts):
            covered += max(0.0, high - max(low, end))
            end = max(end, high)
        result[i] = covered > 0.5 * length
    return result


def share(lines, others):
    """Of the lines' length, [what others match, all]."""
    size = lengths(lines)
    return np.array([size[matched(lines, others)].sum(), size.sum()])


def overlay(path, picture, lines, is_matched):
    canvas = cv2.cvtColor(cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST) // 2 + 100, cv2.COLOR_GRAY2BGR)
    for line, good in zip(lines, is_matched):
        ends = [tuple(int(round(2 * v + 0.5)) for v in line[i : i + 2]) for i in (0, 2)]
        cv2.line(canvas, *ends, (0, 150, 0) if good else (0, 0, 255), 1 if good else 2, cv2.LINE_AA)
    cv2.imwrite(path, canvas)


def lines(options, folder):
    if not (cv2 and data):
        print("lines need cv2 and skimage")
        return
    cv2.setNumThreads(options.threads)
    rows = [["lines", "weft, ms", "EdgeDrawing, ms", "/ weft", "LSD, ms", "/ weft", "FastLineDetector, ms", "/ weft"]]
    for name, picture in (("512 x 512", grey("camera")), ("1920 x 1080", mosaic(1920, 1080)), ("2048 x 2048", mosaic(2048, 2048))):
        ours = weft_lines(picture, folder, options)[1]
        lsd, fast = cv2.createLineSegmentDetector(), cv2.ximgproc.createFastLineDetector(length_threshold=32)
        row = [name, f"{ours:.3g}"]
        for call in (edge_drawing(picture), lambda: lsd.detect(picture), lambda: fast.detect(picture)):
            ms = median_ms(call)
            row += [f"{ms:.3g}", f"{ms / ours:.1f}"]
        rows.append(row)
    print_table(rows)

    rows = [["share of length", "weft's in OpenCV's", "OpenCV's in weft's", "from 20 pixels on", "the same", "of 50 pixels", "the same"]]
    total = np.zeros((6, 2))
    for name, picture in pictures(options):
        ours, ours_short = (weft_lines(picture, folder, options, "--max-lines", "100000", "--min-length", least)[0] for least in ("32", "20"))
        theirs, theirs_short = peer_lines(picture), peer_lines(picture, 20)
        pairs = [(ours, theirs), (theirs, ours), (ours, theirs_short), (theirs, ours_short)]
        pairs += [(a[lengths(a) >= 50], b) for a, b in ((ours, theirs_short), (theirs, ours_short))]
        shares = np.array([share(a, b) for a, b in pairs])
        total += shares
        rows.append([name, *(f"{a / b:.2f} of {b:.0f}" if b else "" for a, b in shares)])
        if options.overlays:
            os.makedirs(options.overlays, exist_ok=True)
            for whose, a, b in (("weft", ours, theirs), ("opencv", theirs, ours)):
                overlay(os.path.join(options.overlays, f"{name}_{whose}.png"), picture, a, matched(a, b))
    rows.append(["all", *(f"{a / b:.3f}" for a, b in total)])
    print_table(rows)


MEASUREMENTS = {"distance": distance, "lines": lines}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weft", default="build/release/weft")
    parser.add_argument("--only", choices=MEASUREMENTS)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--gpu", action="store_true", help="weft and its peers on the GPU")
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default=[1024, 2048, 4096])
    parser.add_argument("--pictures", help="folder of the pictures whose lines are compared, instead of scikit-image's")
    parser.add_argument("--overlays", help="folder for pictures of lines that both find (green) and that one doesn't (red)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for measurement in [given.only] if given.only else MEASUREMENTS:
            MEASUREMENTS[measurement](given, scratch)
