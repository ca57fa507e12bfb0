// Polynomials of the CPU backend's functions, in the order of rising powers. Printed by scripts/minimax.py: do not edit.
#pragma once

namespace weft::cpu {

/// e^r = 1 + r + r^2 q(r), relative to e^r - 1, on [-0.34657, 0.34657]; error 2^-26.18, rounded 2^-25.82.
inline constexpr double exp_f32[] = {0x1.fffffe0000000p-2, 0x1.5554b00000000p-3, 0x1.5556740000000p-5, 0x1.1227660000000p-7, 0x1.6bebf80000000p-10};

/// log(1 + f) = f - f^2/2 + f^3 q(f), relative, on [-0.29289, 0.41421]; error 2^-30.09, rounded 2^-28.12.
inline constexpr double log1p_f32[] = {0x1.5555440000000p-2,  -0x1.ffffdc0000000p-3, 0x1.99a6c40000000p-3,
                                       -0x1.5568a00000000p-3, 0x1.23176e0000000p-3,  -0x1.fa39c00000000p-4,
                                       0x1.e6ddb80000000p-4,  -0x1.e9f47c0000000p-4, 0x1.2303a20000000p-4};

/// erf(x) = x + x q(x^2), relative, on [0.0, 1.0]; error 2^-29.62, rounded 2^-28.1.
inline constexpr double erf_f32[] = {0x1.06eba80000000p-3, -0x1.81273e0000000p-2,  0x1.ce2cf80000000p-4, -0x1.b7f90e0000000p-6,
                                     0x1.5405bc0000000p-8, -0x1.a3f74c0000000p-11, 0x1.496b060000000p-14};

/// log2(erfc(x)), relative to 1 / erfc(x), on [1.0, 4.0]; error 2^-29.33, rounded 2^-29.18.
inline constexpr double log2_erfc_f32[] = {-0x1.0b9aa40000000p-11, -0x1.a03fe00000000p+0, -0x1.d76e9a0000000p-1, -0x1.306fe40000000p-3,
                                           0x1.01b4820000000p-5,   -0x1.15ee480000000p-8, 0x1.18b9720000000p-12};

}  // namespace weft::cpu
