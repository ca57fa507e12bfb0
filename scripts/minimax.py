#!/usr/bin/env python3
"""Computes the polynomials of src/backend/cpu/math_coefficients.h and prints that file.

Each is the best approximation in the sense of Chebyshev, found by Remez's exchange on a dense grid with 60 digits, of
    f(x) ~ known(x) + sum_k c[k] * x^(first + k * step)
relative to weight(x), with its coefficients rounded to the type afterwards. Needs mpmath.
"""
import struct
import sys
from mpmath import mp, mpf, matrix, lu_solve, cos, pi, exp, expm1, log, log1p, erf, erfc, sin, tan, asin, atan, sqrt, ldexp, frexp, nint

mp.dps = 60


def rounded(x, dtype):
    mantissa, exponent = frexp(x)
    bits = 24 if dtype == "float" else 53
    return ldexp(nint(ldexp(mantissa, bits)), exponent - bits)


def minimax(target, basis, weight):
    """Coefficients and error of the best combination of basis functions, all given by their values on a grid."""
    n, points = len(basis), len(target)
    if n == 0:
        return [], max(abs(t / w) for t, w in zip(target, weight))
    chosen = [round((points - 1) * (1 - cos(pi * i / n)) / 2) for i in range(n + 1)]
    for _ in range(60):
        rows = [[b[i] for b in basis] + [(-1) ** k * weight[i]] for k, i in enumerate(chosen)]
        solution = lu_solve(matrix(rows), matrix([target[i] for i in chosen]))
        c, level = list(solution)[:n], abs(solution[n])
        error = [(target[i] - sum(ck * b[i] for ck, b in zip(c, basis))) / weight[i] for i in range(points)]
        peaks = []  # the largest error of each run of one sign
        for i, e in enumerate(error):
            if peaks and (error[peaks[-1]] > 0) == (e > 0):
                if abs(e) > abs(error[peaks[-1]]):
                    peaks[-1] = i
            else:
                peaks.append(i)
        while len(peaks) > n + 1:
            peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
        worst = max(abs(e) for e in error)
        if worst < level * mpf("1.001"):
            break
        if len(peaks) == n + 1:
            chosen = peaks
            continue
        # Too few: only the worst point comes in, for a neighbour of its sign.
        at = max(range(points), key=lambda i: abs(error[i]))
        right = next((k for k, i in enumerate(chosen) if i > at), n + 1)
        near = [k for k in (right - 1, right) if 0 <= k <= n and (error[chosen[k]] > 0) == (error[at] > 0)]
        if near:
            chosen[near[0]] = at
        else:
            chosen = [at] + chosen[:-1] if right == 0 else chosen[1:] + [at]
    return c, worst


def fit(name, dtype, count, low, high, f, first, step, known, weight, says):
    low, high = mpf(low), mpf(high)
    points = 40 * (count + 2)
    # Half a step off the ends: a function and its weight may both vanish at 0.
    grid = [(low + high) / 2 - (high - low) / 2 * cos(pi * (i + mpf(1) / 2) / points) for i in range(points)]
    grid = [x for x in grid if abs(x) > mpf(10) ** -12]
    target, w = [f(x) - known(x) for x in grid], [abs(weight(x)) for x in grid]
    basis = [[x ** (first + k * step) for x in grid] for k in range(count)]
    exact, best = minimax(target, basis, w)
    coefficients = [rounded(c, dtype) for c in exact]
    target = [t - sum(c * b[i] for c, b in zip(coefficients, basis)) for i, t in enumerate(target)]
    error = max(abs(t / x) for t, x in zip(target, w))
    text = ",\n    ".join(float.hex(float(c)) for c in coefficients)
    print(f"/// {says} on [{mp.nstr(low, 5)}, {mp.nstr(high, 5)}]; error 2^{mp.nstr(log(best, 2), 4)}, rounded 2^{mp.nstr(log(error, 2), 4)}.")
    print(f"inline constexpr double {name}[] = {{\n    {text}}};\n")
    sys.stdout.flush()


def fit_around(name, count, pieces, step, f, says):
    """Polynomials of d = x - n * step around each multiple of the step; around 0 of f(x) - x."""
    step, table, worst = mpf(step), [], mpf(0)
    for n in range(pieces):
        low, high = (n - mpf(1) / 2) * step if n else mpf(0), (n + mpf(1) / 2) * step
        points = 400
        d = [(low + high) / 2 - (high - low) / 2 * cos(pi * (i + mpf(1) / 2) / points) - n * step for i in range(points)]
        values = [f(n * step + di) for di in d]
        target = values if n else [v - di for v, di in zip(values, d)]
        basis = [[di**k for di in d] for k in range(0 if n else 1, count)]
        exact, best = minimax(target, basis, values)
        table.append(([] if n else [mpf(0)]) + [rounded(c, "float") for c in exact])
        worst = max(worst, best)
    rows = ",\n".join("    {" + ",\n     ".join(float.hex(float(piece[k])) for piece in table) + "}" for k in range(count))
    print(f"/// {says}: q by power of d, then n. Error 2^{mp.nstr(log(worst, 2), 4)}.")
    print(f"inline constexpr double {name}[{count}][{pieces}] = {{\n{rows}}};\n")
    sys.stdout.flush()


half_ln2, edge, eighth = log(2) / 2, sqrt(mpf(2)), pi / 4
half_log_quotient = (edge - 1) / (edge + 1)

# name: (type, coefficients, low, high, f, first power, step, known part, weight, what it says)
FITS = {
    "exp": [("float", 5), ("double", 11), -half_ln2, half_ln2, exp, 2, 1, lambda r: 1 + r, expm1, "e^r = 1 + r + r^2 q(r), relative to e^r - 1,"],
    "log1p": [("float", 9), ("double", 12), 1 / edge - 1, edge - 1, log1p, 3, 1, lambda f: f - f * f / 2, log1p,
              "log(1 + f) = f - f^2 / 2 + f^3 q(f), relative,"],
    "log_quotient": [None, ("double", 7), 0, half_log_quotient, lambda s: log((1 + s) / (1 - s)), 3, 2, lambda s: 2 * s, lambda s: s,
                     "log((1 + s) / (1 - s)) = 2 s + s^3 q(s^2), relative,"],
    "log_quotient_tail": [None, ("double", 8), 0, half_log_quotient, lambda s: log((1 + s) / (1 - s)), 5, 2, lambda s: 2 * s + 2 * s**3 / 3,
                          lambda s: s, "log((1 + s) / (1 - s)) = 2 s + s^3 (2/3 + s^2 q(s^2)), relative,"],
    "erf": [None, ("double", 13), 0, 1, erf, 1, 2, lambda x: x, erf, "erf(x) = x + x q(x^2), relative,"],
    "log2_erfc": [None, ("double", 19), 1, 6, lambda x: log(erfc(x), 2), 0, 1, lambda x: mpf(0),
                  lambda x: 1 / erfc(x), "log2(erfc(x)), relative to 1 / erfc(x),"],
    "sin": [("float", 3), ("double", 7), 0, eighth, sin, 3, 2, lambda r: r, sin, "sin(r) = r + r^3 q(r^2), relative,"],
    "cos": [("float", 3), ("double", 7), 0, eighth, cos, 4, 2, lambda r: 1 - r * r / 2, cos, "cos(r) = 1 - r^2 / 2 + r^4 q(r^2), relative,"],
    "tan": [("float", 6), ("double", 15), 0, eighth, tan, 3, 2, lambda r: r, tan, "tan(r) = r + r^3 q(r^2), relative,"],
    "asin": [("float", 5), ("double", 14), 0, mpf(1) / 2, asin, 3, 2, lambda x: x, asin, "asin(x) = x + x^3 q(x^2), relative,"],
    "atan": [("float", 9), ("double", 22), 0, 1, atan, 3, 2, lambda x: x, atan, "atan(x) = x + x^3 q(x^2), relative,"],
}

HEADER = """// Polynomials of the CPU backend's functions, in the order of rising powers. Printed by scripts/minimax.py: do not edit.
// clang-format off
#pragma once

namespace weft::cpu {
"""

if __name__ == "__main__":
    print(HEADER)
    for name in sys.argv[1:] or FITS:
        *types, low, high, f, first, step, known, weight, says = FITS[name]
        for wanted in types:
            if wanted:
                dtype, count = wanted
                fit(f"{name}_{'f32' if dtype == 'float' else 'f64'}", dtype, count, low, high, f, first, step, known, weight, says)
    if not sys.argv[1:]:
        # The step is one whose multiples' erf are near numbers of f32.
        fit_around("erf_f32", 6, 16, mpf(131) / 512, erf, "erf(x) = q(d) with d = x - n * 131/512; x + q(x) for n = 0")
    print("}  // namespace weft::cpu")
