r"""Break one formula at a time, in a copy of the tree, and see whether the tests notice.

    python tools/mutate.py                       # every mutation below: hours on one core
    python tools/mutate.py --only update.pxd     # those whose file or text has this in it
    python tools/mutate.py --jobs 2 mine.txt     # others, from a file of the same form

Needs what building and testing bpcore needs. Nothing is changed but copies in a temporary
directory, where one CPU level is built, at -O1. It prints what becomes of each mutation, and exits
with 1 if one survives or does not build.

A mutation is a line ``old => new`` under the name of its file, or ``old => new ||| other`` for two
of them; ``\n`` is a new line. ``old`` stands in the file once, or a number in front says which one
is meant: ``2@ old => new``.
"""

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("pyproject.toml", "setup.py", "src", "tests", "README.md", "LICENSE")
# The quick ones and those of the reference first: most mutations do not get past them.
TESTS = (
    *("cpu", "worked_example", "reference_formulas", "reference_updates", "schedules"),
    *("losses", "optimizers", "reference", "reference_training", "activations", "gradients"),
    *("training_matches_reference", "affine", "skip", "elementary", "team", "team_choice"),
    *("small_steps", "stretches", "parts", "first_look", "trainer", "narrow", "random_networks"),
    *("rows", "columns", "interrupts", "divergence", "trainer_settings"),
)
TIMEOUT = 900  # seconds: a mutation may make a loop endless

MUTATIONS = r"""
src/bpcore/_math/activation.pxd
gelu(z[k]), gelu_derivative(z[k]) => gelu(z[k]), z[k]
silu(z[k], a[k]), silu_derivative(z[k], a[k]) => silu(z[k], a[k]), z[k]
sigmoid(z, z, count) => pass
sigmoid(a + first, s, some) => sigmoid(a, s, some)
sigmoid(z + first, s, some) => sigmoid(z, s, some)
delta[first + k] *= s[k] => delta[first + k] = s[k]
if activation == SILU:\n                for k => if True:\n                for k
return s * (<floating> 1 + z * (<floating> 1 - s)) => return s * (<floating> 1 + z)
softsign(z[k]), softsign_derivative(z[k]) => softsign(z[k]), z[k]
hard_sigmoid(z[k]), hard_sigmoid_derivative(z[k]) => hard_sigmoid(z[k]), z[k]
delta[k] *= z[k] => delta[k] = z[k]
by_lanes(LOGISTIC_LANES, <const vf32 *> z => by_lanes(TANH_LANES, <const vf32 *> z
by_lanes(LOGISTIC_LANES, <const vf64 *> z => by_lanes(TANH_LANES, <const vf64 *> z
return a * (<floating> 1 - a) => return a
(<floating> 1 - a) * (<floating> 1 + a) => (<floating> 1 - a)
return <floating> 0 if z < 0 else z => return <floating> 0 if z < 1 else z
1@ return <floating> 1 if a > 0 else <floating> 0 => return <floating> 1 if a >= 0 else <floating> 0
return z * <floating> 0.01 if z < 0 else z => return z * <floating> 0.02 if z < 0 else z
return <floating> 1 if a > 0 else <floating> 0.01 => return <floating> 1 if a >= 0 else <floating> 0.01 ||| return <floating> 1 if a > 0 else <floating> 0.02
return z if z > 0 else expm1_(z) => return z if z > 0 else expm1_(z) * <floating> 1.001
return <floating> 1 if a > 0 else a + <floating> 1 => return <floating> 1 if a > 0 else a ||| return a + <floating> 1
<floating> 1.0507009873554805 * z => <floating> 1.0507 * z
<floating> 1.7580993408473766 * expm1_(z) => <floating> 1.758 * expm1_(z)
return <floating> 1.0507009873554805 if a > 0 => return <floating> 1.05 if a > 0 ||| return <floating> 1.0507009873554805 if a >= 0
else a + <floating> 1.7580993408473766 => else a + <floating> 1.76
return relu(z) - times => return z - times
(x * scaled_tail(x), x) => (scaled_tail(x), x)
scaled_tail(x) - x * <floating> 0.3989422804014327 => scaled_tail(x) - x * <floating> 0.399
return s if z < 0 else <floating> 1 - s => return s
return z * s => return s
(<floating> 1 + z * (<floating> 1 - s)) => (<floating> 1 + z * s) ||| (z * (<floating> 1 - s))
return log1p_exp(z) => return log1p_exp(z * <floating> 0.999)
return z / (<floating> 1 + absolute(z)) => return z / (<floating> 1.001 + absolute(z))
return r * r => return r
return clamp[floating](z * <floating> 0.16666666666666666 + <floating> 0.5, 0, 1) => return clamp[floating](z * <floating> 0.1666 + <floating> 0.5, 0, 1)
z * <floating> 0.16666666666666666 + <floating> 0.5, 0, 1) => z * <floating> 0.16666666666666666 + <floating> 0.5, 0, 2)
return <floating> 0.16666666666666666 if absolute(z) < 3 => return <floating> 0.1666 if absolute(z) < 3
if absolute(z) < 3 else => if absolute(z) <= 3 else ||| if z < 3 else
in (GELU, SILU, => in (SILU,
a[k] = exp_(a[k]) => a[k] = exp_(a[k] * <floating> 0.999)
delta[k] *= a[k] => delta[k] *= z[k]
delta[k] *= tanh_derivative(a[k]) => delta[k] *= tanh_derivative(z[k])

src/bpcore/_math/softmax.pxd
top = larger(top, load(z, v * width)) => pass
store(to, v * width, load(z, v * width) - top) => store(to, v * width, load(z, v * width))
load_part(z, whole, left) - top, left => load_part(z, whole, left), left
top = load(z, n_outputs - width) => top = load(z, 0)
total += load(e, v * width) => total = load(e, v * width)
total = load_part(e, whole, left) if left else zero(e) => total = zero(e)
load_part(e, whole, left) * total => load_part(e, whole, left)
inner += delta[m] * a[m] => inner += delta[m]
a[m] * (delta[m] - inner) => a[m] * delta[m] ||| delta[m] - inner
for m in range(n * n_outputs): => for m in range(n_outputs):
a, delta = a + n_outputs, delta + n_outputs => pass

src/bpcore/_math/elementary.pxd
x = low if x < low else x => x = x
return high if x > high else x => return x
1@ n * <float> -2.12194440e-4 => n * <float> -2.13e-4
1@ n * 1.9082149292705877e-10 => n * 1.9e-10
q = q * r + <float> 0.1666652063 => q = q * r + <float> 0.16667
q = q * r + 2.7557586379613517743e-6 => q = q * r + 2.7e-06
q = q * r + 2.4801493096894902504e-5 => q = q * r + 2.481e-05
expm1_near_0[floating](x - tail) => expm1_near_0[floating](x + tail)
return r * r * q + r => return r * q + r
1@ half = exponents >> 1 => half = exponents
half_long = exponents_long >> 1 => half_long = exponents_long
x = clamp[floating](x, -104, 89) => x = clamp[floating](x, -87, 89) ||| x = clamp[floating](x, -104, 88)
x = clamp[floating](x, -746, 710) => x = clamp[floating](x, -708, 710) ||| x = clamp[floating](x, -746, 709)
<floating> -40 if x < -40 => <floating> -15 if x < -15
(scale - <floating> 1) => scale - <floating> 1
p = p * s + <float> 0.400215233 => p = p * s + <float> 0.4
p = p * s + 0.15386548560530099043 => p = p * s + 0.15384
return w * (u - s * p) => return w * (u - p)
return u - log1p_rest(u) => return u
return y if x <= FLT_MAX else x => return y
return y if x <= DBL_MAX else x => return y
n * <float> 0.693359375 + => n * <float> 0.6933 +
(log1p_rest(u) - n * 1.9082149292705877e-10) => log1p_rest(u)
(x if x > 0 else <floating> 0) - log1p_rest(u) => x - log1p_rest(u)
<float> -14.5, <float> 14.5 => <float> -12.5, <float> 12.5
-38.7, 38.7 => -30, 30
<int32_t> 0xfffff000 => <int32_t> 0xffffffff
<int64_t> 0xfffffffff8000000 => <int64_t> 0xffffffffffffffff
(x - h) * (x + h) * <floating> 0.5 => (x - h) * (x + h) * <floating> 0.4
p = p * y + <float> 0.29595023536 => p = p * y + <float> 0.29596
p = p * x + 0.35713535562774161758 => p = p * x + 0.3571353556

src/bpcore/_math/loss.pxd
return FLT_MIN => return 0
return DBL_MIN => return 0
return <floating> 0 if a < tiny(a) else <floating> 1 / a => return <floating> 0 if a <= tiny(a) else <floating> 1 / a ||| return <floating> 1 / a
1@ c += e * e => c += e
2@ c += e * e => c += e
c[k] = e * e => c[k] = e
s /= n_outputs => pass
c[k] = absolute(e) => c[k] = e
da[k] = s if e > 0 else => da[k] = s if e >= 0 else
(-s if e < 0 else => (s if e < 0 else
C[i] /= n_outputs => pass
within = clamp[floating](e, -1, 1) => within = clamp[floating](e, -1, 2) ||| within = e
c[k] = within * (e - <floating> 0.5 * within) => c[k] = within * e ||| c[k] = <floating> 0.5 * within * within
da[k] = within * s => da[k] = e * s
C += a[k] - y[k] => C += a[k] ||| C -= y[k]
if y[k] > 0: => if y[k] >= 0:
C += y[k] * (log(<double> y[k]) - clipped_log(a[k])) => C -= y[k] * clipped_log(a[k]) ||| C += y[k] * log(<double> y[k])
da[k] = (<floating> 1 - y[k] * clipped_log_derivative(a[k])) * s => da[k] = -y[k] * clipped_log_derivative(a[k]) * s ||| da[k] = (<floating> 1 - clipped_log_derivative(a[k])) * s
C -= y[k] * clipped_log(a[k]) + => C -= clipped_log(a[k]) + ||| C -=
+ (<floating> 1 - y[k]) * clipped_log(<floating> 1 - a[k]) => + clipped_log(<floating> 1 - a[k])
da[k] = ((<floating> 1 - y[k]) * clipped_log_derivative => da[k] = (clipped_log_derivative
- y[k] * clipped_log_derivative(a[k])) * s\n    return C\n\ncdef inline void sig => ) * s\n    return C\n\ncdef inline void sig
one = (z[k] if z[k] > 0 else <floating> 0) - y[k] * z[k] => one = (z[k] if z[k] > 0 else <floating> 0) - y[k] ||| one = z[k] - y[k] * z[k]
one += log1p_unit(exp_(-absolute(z[k]))) => one += log1p_unit(exp_(z[k]))
1@ delta[k] = (a[k] - y[k]) * s => delta[k] = a[k] * s
2@ delta[k] = (a[k] - y[k]) * s => delta[k] = a[k] * s
yk = (k == label) if y == NULL => yk = (k != label) if y == NULL
C -= yk * clipped_log(a[k]) => C -= clipped_log(a[k])
da[k] = -yk * clipped_log_derivative(a[k]) * s => da[k] = -clipped_log_derivative(a[k]) * s ||| da[k] = -yk * clipped_log_derivative(a[k])
log_top[i] = log_(log_top[i]) => log_top[i] = 0
(z_top[i] - z[m + k]) => (-z[m + k])
delta[k] = a[k] * s\n => delta[k] = a[k]\n
delta[k] = (a[k] - <floating> 1) * s => delta[k] = a[k] * s
- zi[label[i]] => - zi[0]
- log_(largest_of_row(a + i * n_outputs, n_outputs)) => - 0
c[k] = y[m + k] * ( => c[k] = (
C[i] = -log_(p[i]) => C[i] = log_(p[i])
k = i * n_outputs + label[i] => k = label[i]
z += n_outputs\n        y => y
s = share * weight[i] => s = share ||| s = weight[i]
1@ s_each = <floating> s / divisor => s_each = <floating> s
2@ s_each = <floating> s / divisor => s_each = s_each
C /= divisor => pass
if divisor != 1: => if divisor == 1:
sums[i % 16] += C => sums[0] += C ||| sums[i % 16] = C
C = rounded(C * s) if s != 0 else 0 => C = rounded(C * s) ||| C = C
if p[i] >= tiny(s): => if p[i] >= 0:
e = load(a, k) - load(y, k) => e = load(a, k)
e = load_part(a, k, left) - load_part(y, k, left) => e = load_part(a, k, left)
C[i] = largest if C[i] > largest else C[i] => pass
c[k] = most if one > most else one => c[k] = one
1@ s += s => s += s + s
2@ s += s => s += s + s
labels + first, out => labels, out
out + first, n_outputs, s)\n            elif y => out + first, n_outputs, s + s)\n            elif y
labels[i], out + first => labels[0], out + first
weight + first, share, out => weight, share, out
<floating> (share if weight == NULL else 1.0) => <floating> share

src/bpcore/_math/row_sums.pxd
acc += load_part(c, k, => acc = load_part(c, k,
acc += load(c, k) => acc = load(c, k)
C[i] += c[2 * i] + c[2 * i + 1] => C[i] += c[2 * i]
(c[3 * i] + c[3 * i + 2]) + c[3 * i + 1] => c[3 * i] + c[3 * i + 2]
(c[4 * i] + c[4 * i + 2]) => (c[4 * i])
sum += c[i * width + k] => sum += c[k]
sum_f32(row_lanes(<vf32 *> (c + i * width) => sum_f32(row_lanes(<vf32 *> c
sum_f64(row_lanes(<vf64 *> (c + i * width) => sum_f64(row_lanes(<vf64 *> c
top = larger(top, load(z, k)) => pass
top = load(z, width - lanes(z)) => top = load(z, 0)
C[i] = C[i] * s if s != 0 else 0 => C[i] = C[i] * s ||| C[i] = C[i]
out[k] *= sf => pass
sums[(first + j) % 16] += C[j] => sums[j % 16] += C[j] ||| sums[0] += C[j]

src/bpcore/_math/tile.pxd
1@ acc[r * vectors + v] += ark * bk[v] => acc[r * vectors + v] = acc[r * vectors + v] - ark * bk[v]
acc[r] += ark * bk[0] => acc[r] = acc[r] - ark * bk[0]
left = full if part else depth => left = (full if part else depth) - 1
left = depth - full => left = depth - full - 1
bk[0] = load_part(b, 0, last) => bk[0] = load_part(b, 0, 1)
acc[r] = load_part(start, r * ld_start, last) => acc[r] = load_part(start, 0, last)
start, r * ld_start + column_of(v, vectors, width, edge, last)) => start, column_of(v, vectors, width, edge, last))
cdef bint ends = ends_with_init(depth, ld_init) => cdef bint ends = False
store_part(c, r * ldc, acc[r], last) => store(c, r * ldc, acc[r])
return last if edge and vectors > 1 and v == vectors - 1 else v * width => return v * width ||| return last if edge and v == vectors - 1 else v * width
1@ ldb, depth,\n                    4, vectors => ldb, depth,\n                    3, vectors
2@ ldb, depth,\n                    4, vectors => ldb, depth,\n                    3, vectors
ldb, depth,\n                    9, vectors => ldb, depth,\n                    8, vectors
ldb, depth,\n                    12, vectors => ldb, depth,\n                    11, vectors
longer = rows - share * tiles, a_tile => longer = 0, a_tile
last = <int> (columns - width) => last = <int> (columns - width - 1)
depth, 4, True, last, 0, then) => depth, 4, False, last, 0, then)
depth, 3, True, last, 0, then) => depth, 2, True, last, 0, then)
high = a_packed if a_packed else tile_rows(wide) => high = tile_rows(wide)
return TILE_ROWS // 2 if wide => return TILE_ROWS if wide
at(init, rows * ld_init), at(a, a_tile) => init, at(a, a_tile)
at(init, group * ld_init) => init
height * (depth if a_packed else a_row) => height * a_row
a_row, a_step = 1, height => a_step = height
at(a, tiles * a_tile) => a
init, ld_init = <const vec *> ZEROS, 0 => init, ld_init = <const vec *> ZEROS, ld_init

src/bpcore/_math/row_pointers.pxd
at(p, 3 * apart) if count > 3 => at(p, 2 * apart) if count > 3
at(p, 6 * apart) if count > 6 => at(p, 3 * apart) if count > 6
at(p, 9 * apart) if count > 9 => at(p, 6 * apart) if count > 9
at(<const vec *> third, r % 3 * apart) => at(<const vec *> third, r * apart)
rows.p3 = at(<const vec *> rows.p3, step) => pass
rows.p6 = at(<const vec *> rows.p6, step) => pass
rows.p9 = at(<const vec *> rows.p9, step) => pass

src/bpcore/_math/product.pxd
DEPTH = 264 => DEPTH = 256
start = first * share + min(first, longer) => start = first * share
k + 1 < depth and (depth - k) * height >= lanes(a)) => True)
if pack_b and j == ahead: => if pack_b and j == 0:
panel = at(panel, vectors * width * step) => pass
rows < LOW or depth <= SHALLOW => depth <= SHALLOW
init, ld_init = <const vec *> ZEROS, 0 => init, ld_init = <const vec *> ZEROS, ld_init
at(a, r + k * a_step), at(packed, r * depth + k * height) => at(a, r), at(packed, r * depth + k * height)
1@ step = deep if depth - k > deep else depth - k => step = deep if depth - k > deep else depth - k - 1
2@ step = deep if depth - k > deep else depth - k => step = deep if depth - k > deep else depth - k - 1
ready = packed_b => ready = b
ready = at(ready, vectors * width * step) => ready = at(ready, width * step)
to = at(to, wide * step) => to = at(to, wide)
ark = at(a, r * a_row + k * a_step) => ark = at(a, r * a_row)
start = at(c, r * ldc + j) => start = NULL
start = at(init, r * ld_init + j) => start = at(init, j)
pack_columns(at(b, j * ldb + k), ldb, panel, vectors => pack_columns(at(b, j * ldb), ldb, panel, vectors
bkj = at(b, k * ldb + j) => bkj = at(b, j)
missing = (width - wide % width) % width => missing = 0
height = chunk if rows - r > chunk else rows - r => height = chunk

src/bpcore/_math/pack.pxd
j = columns - block => j = 0
i = rows - block => i = 0
1@ if j < columns: => if j + 1 < columns:
if i < rows: => if i + 1 < rows:
if rows < block or columns < block: => if rows < block: ||| if columns < block:
copy_element(source, i * ld + j, to, j * ld_to + i) => copy_element(source, i * ld, to, j * ld_to + i)
transpose(at(source, k), ld, at(panel, k * width), width, columns, step) => transpose(source, ld, at(panel, k * width), width, columns, step)
store(to, count - width, load(source, count - width)) => pass
if k > 0 and k < count: => if k < count:
if beyond and count <= lanes(to): => if count <= lanes(to):
load_part(source, j, <int> (columns - j))) => load_part(source, 0, <int> (columns - j)))
store(to, v * lane, zero(to)) => pass
j, to = j + width, at(to, depth * width) => j, to = j + width, at(to, width)

src/bpcore/_math/dots.pxd
acc[r] += load(a, r * depth + k) * x => acc[r] += load(a, k) * x
acc[r] += load_part(a, r * depth + k, left) * x => pass
x = broadcast(bias, 0) + sums(acc, => x = sums(acc,
copy_element(&x, r, z, r * ldz) => copy_element(&x, r, z, r)
done, a, z = done + width, at(a, width * depth), at(z, width * ldz) => done, z = done + width, at(z, width * ldz) ||| done, a = done + width, at(a, width * depth)
after = first + (n - first) * g // groups => after = n * g // groups
add_element(bias, i % columns, four => add_element(bias, 0, four
acc[k], at(bias, k % columns)) => acc[k], bias)
at(a, depth // width * width) => at(a, depth // width * width - width)
1@ acc[r * columns + m] += near[r] * x => acc[r * columns + m] = near[r] * x
acc[r * columns + m] += x * near[m] => acc[r * columns + m] = x * near[m]
1@ left = <int> (depth % width) => left = 0
x = load_part(row(W, &W_rows, m, depth), 0, left) => x = load_part(row(W, &W_rows, m, depth), 0, 1)
store_sums(z, r * ldz + 4 * m, &acc[r * columns + 4 * m], at(bias, 4 * m)) => store_sums(z, r * ldz + 4 * m, &acc[r * columns + 4 * m], bias)
dot_few(at(z, m), ldz, at(bias, m), a, => dot_few(at(z, m), ldz, bias, a,
m, behind = wide, end => behind = end
W, depth, columns, 5, 4) => W, depth, columns, 4, 4)
W, depth, columns, 4, 4) => W, depth, columns, 3, 4)
W, depth, columns, 4, 3) => W, depth, columns, 3, 3)

src/bpcore/_math/columns.pxd
left = depth * (i + 1) // rows - depth * i // rows => left = depth // rows
vk[v] = load(bias, v * width) => vk[v] = load(bias, 0)
acc[r * vectors + v] += ark * vk[v] => acc[r * vectors + v] += ark * vk[0]
store(z, r * ld + v * width, acc[r * vectors + v]) => store(z, r * ld + v * width, acc[r * vectors])
rows == 7: => rows == 8:
copy_row(at(bias, j), b, wide) => copy_row(bias, b, wide)
first = n * t // tiles => first = 0
1@ at(V, j * depth) => V
if wide > width: => if wide > width + 1:
copy_row(at(tile, r * round_up(wide, width)), => copy_row(at(tile, r * wide),
at(z, (first + r) * columns + j),\n => at(z, (first + r) * columns),\n
step = min(<Py_ssize_t> 64, n_inputs - k) => step = min(<Py_ssize_t> 64, n_inputs)
at(W, j * n_inputs + k), at(V => at(W, j * n_inputs), at(V
at(V, j * n_inputs + k * ld) => at(V, j * n_inputs + k)
pack_rows(at(delta, j), n_outputs => pack_rows(delta, n_outputs
run_panel(at(V, j * n_inputs), wide, at(V, j * n_inputs), wide, => run_panel(at(V, j * n_inputs), wide, V, wide,
bias_gradient(at(delta, first), n_outputs, at(b, first), n, => bias_gradient(delta, n_outputs, b, n,
bias_gradient(at(delta, first), n_outputs, at(b, first), n, last - first, True) => pass

src/bpcore/_core/columns.pxi
4 <= n <= COLUMN_SAMPLES => 4 <= n
share_end(me, panels) * panel) => share_end(me, panels))
    meet(me) =>     pass
t.net.layers[0].in_V = False => pass
turn_layer(&t.net.layers[0], p, me, True) => pass

src/bpcore/_math/affine.pxd
d = broadcast(delta, i) => d = broadcast(delta, 0)
store_part(da_in, whole, d * load_part(w, whole, left), left) => pass
transpose(at(dW, m * ld), ld, part, panel, wide, n_inputs) => transpose(dW, ld, part, panel, wide, n_inputs)
at(b, main), a_in => b, a_in
at(W, n_inputs - thin), n_inputs, room => W, n_inputs, room
at(da_in, n_inputs - thin), n_inputs, <const => da_in, n_inputs, <const
at(a_in, main), at(dW, main) => a_in, at(dW, main)
part if accumulate or k > 0 else NULL => part if accumulate else NULL
at(delta, k * ld_delta + m), ld_delta => at(delta, k * ld_delta), ld_delta
at(a_in, k * ld), 1, ld => a_in, 1, ld
acc[v] += load_part(db, v * width, left) => pass
deep = part_of(n, DEPTH), m = 0 => deep = DEPTH, m = 0
load_part(delta, (i + k) * ld_delta + v * width, left) => load_part(delta, i * ld_delta + v * width, left)
acc[v] += load_part(delta, i * ld_delta + v * width, left)\n        i += 1 => i += 1
bias_sums(at(delta, m), ld_delta, at(db, m), n, accumulate, 1, => bias_sums(delta, ld_delta, at(db, m), n, accumulate, 1,
start = dW if accumulate else NULL => start = NULL
transpose(at(dW, first), n_inputs, part, rows, rows, some) => pass
skipping_product(part, rows, part if accumulate else NULL => skipping_product(part, rows, NULL
some, rows, n, work)\n => some, rows, n - 1, work)\n
transpose(part, rows, at(dW, first), n_inputs, some, rows) => transpose(part, rows, dW, n_inputs, some, rows)

src/bpcore/_math/few_outputs.pxd
acc[2 * m] = acc[2 * m + 1] = broadcast(bias, m) => acc[2 * m] = acc[2 * m + 1] = zero(z)
acc[2 * m + 1] += second * weight => acc[2 * m + 1] += first * weight
weight = broadcast(W, m * n_inputs + n + k) => weight = broadcast(W, m * n_inputs + k)
lanes_of_samples(at(z, i * ldz), ldz, bias, at(a, i * n_inputs), W, n_inputs, n - i, => lanes_of_samples(at(z, i * ldz), ldz, bias, at(a, i * n_inputs), W, n_inputs, n - i - 1,
src/bpcore/_math/matrix_unit.h
part < 2) { => part < 1) {
set1_epi32(0x8000) => set1_epi32(0)
TAKE_A(2); TAKE_B(0); MULTIPLY_ADD; => TAKE_A(2); TAKE_B(0);
           TAKE_B(1); MULTIPLY_ADD;  => TAKE_B(1);
if (tall && wide) _tile_stored => if (tall && wide && 0) _tile_stored
src/bpcore/_math/parts.pxd
step if by_k else lines) => lines if by_k else lines)
if k > 0: => if k > 9999:
pack_parts(at(<const vf32 *> b, i * ldb if by_columns else i), ldb => pack_parts(<const vf32 *> b, ldb
shape_tiles(shape, <int> min(2 * STRIP, rows - r), columns) => shape_tiles(shape, 2 * STRIP, columns)
if shape[0] != 64 * rows + columns: => if shape[0] == 0:
bytes_of_parts(columns, k) + j // STRIP * strip => bytes_of_parts(columns, k)
to += bytes_of_parts(columns, step) => pass
src/bpcore/stretches.py
rates[min(step, len(rates) - 1)] => rates[0]
(6 * batch_size + UPDATE_OPERATIONS) * => 6 * batch_size *
if not kernels.is_calm_state(training.rule, training.first, self._largest_rate): => if False:
take = step - kept >= self._apart => take = False
take = True\n        except => pass\n        except
diverged = step < until or not training.finite => diverged = step < until
snapshot.forget()\n => pass\n
rates, self._length, calm=True => rates, self._length, calm=False
src/bpcore/_math/skip.pxd
acc[v] += ark * load(bk, v * width) => acc[v] = ark * load(bk, v * width) ||| acc[v] += ark * load(panel, v * width)
rest &= rest - 1\n => rest = 0\n
look.rest = RESTS => look.rest = 0 ||| look.rest = RESTS - 1
look.rest -= 1 => pass
a, panel = at(a, 64), at(panel, 64 * ld) => a = at(a, 64) ||| panel = at(panel, 64 * ld)
ends, at(a, r * a_row), bits + r * words, => ends, at(a, r * a_row), bits + r,
if g == 0 and init == NULL: => if init == NULL:
return cost + over * (costs.loaded + costs.waiting / wide) * share => return cost + 1e9 * share ||| return -share
store_part(c, v * width, acc[v], left) => store(c, v * width, acc[v])
nonzeros(at(a, r * a_row + 64 * w), => nonzeros(at(a, r * a_row),
left = depth - 64 * w => left = depth - 64 * w - 1
2@ ark, ld_a = at(work, height * k), step => ark, ld_a = at(work, height * k), step + 1
copy_row(at(a, r * a_row), at(to, r * depth), depth) => copy_row(at(a, r * a_row), at(to, r * depth), depth - 1)
return (ldb == columns and columns % lanes(b) == 0 => return (columns % lanes(b) == 0 ||| return (ldb == columns
part = at(b, (first + k) * ldb) => part = at(b, first * ldb)
most = SKIP_PANEL // vectors => most = 2 * SKIP_PANEL // vectors
chunks = ceil_div(rows, SKIP_ROWS) => chunks = 1 if rows < SKIP_ROWS else rows // SKIP_ROWS

src/bpcore/_math/shallow.pxd
if part and k >= full: => if part and k > full:
acc[v] += ark * bk[k * vectors + v] => acc[v] = ark * bk[k * vectors + v]
store_part(c, 0, start + acc[0], last) => store(c, 0, start + acc[0])
second = last if edge else lanes(c) => second = lanes(c)
acc[v] = load(begin, v * second) if begins => acc[v] = load(begin, v * lanes(c)) if begins
begin = at(begin, ld_begin) => pass
half = (depth + 1) // 2 => half = (depth + 1) // 2 - 1
<const vec *> ZEROS if ends else init, 0, False) => init, 0, False)
at(b, half * ldb), ldb, high, depth - half, last, sums, ld, False) => at(b, half * ldb), ldb, high, depth - half, last, init, 0, False)
c, init, a = at(c, high * ldc), at(init, high * ld_init), at(a, high * a_row) => c, a = at(c, high * ldc), at(a, high * a_row) ||| c, init = at(c, high * ldc), at(init, high * ld_init)
if BY_HALVES and two else => if BY_HALVES else
ENDED = 64 => ENDED = 100
else <int> SHALLOW => else 0

src/bpcore/_math/costs.h
costs = choices[halves != 0] => costs = choices[0]

src/bpcore/cpu.py
base + extended == 0x19 => base + extended == 0x1A ||| base + extended >= 0x19
registers.leaf_1_eax >> 20 & 0xFF => registers.leaf_1_eax >> 16 & 0xFF

src/bpcore/_math/nonzeros.h
1@ _CMP_NEQ_UQ => _CMP_NEQ_OQ ||| _CMP_GT_OQ
2@ _CMP_NEQ_UQ => _CMP_NEQ_OQ ||| _CMP_GT_OQ
bits |= (uint64_t)nonzero_lanes_f32(x) << k => bits |= (uint64_t)nonzero_lanes_f32(x)
bits |= (uint64_t)nonzero_lanes_f64(x) << k => bits |= (uint64_t)nonzero_lanes_f64(x)
load_part_f32(p + k, count - k) => load_f32(p + k)

src/bpcore/_core/narrow.pxi
NARROW_INPUTS = 16 => NARROW_INPUTS = 64
net.layers[l].n_outputs > width or ( => net.layers[l].n_outputs > 2 * width or (
memset(vectors, 0, 4 * size * sizeof(p[0])) => memset(vectors, 0, sizeof(p[0]))
theta + W, theta + b, vectors, back) => theta + W, theta + b, vectors, False)
second + W, second + b, vectors + 3 * size, back) => second + W, second + b, vectors + 3 * size, False)
room += 3 * block => room += block

src/bpcore/_core/narrow_products.pxi
1@ for v in range(1, layer.pieces): => for v in range(1, 1):
2@ for v in range(1, layer.pieces): => for v in range(1, 1):
row_products(layer, b, near, a_in, W), used) => row_products(layer, zero(W), near, a_in, W), used)
layer.n_inputs if layer.pieces == 1 else <int> width => 1
return sums(rows, layer.n_outputs, used) + b => return sums(rows, layer.n_outputs, used)
near if held else load(a_in, 0) => near
a_in, W, layer.n_inputs, held) => a_in, W, layer.n_inputs - 1, held)
products[n] = near * load(W, n * width) => products[n] = near * load(W, 0)
while k < count: => while k < count - 1:
if k == count: => if False:
1@ lane_of(near, weights, k - 1, held) => lane_of(near, weights, 0, held)
d = broadcast(kept, m) => pass
put_or_add(db, delta, accumulate) => put_or_add(db, delta, False)

src/bpcore/_core/narrow_passes.pxi
1@ a[i] = first_lanes(a[i], layer.n_outputs) => pass
z = first_lanes(z, used) => pass
kept[0] = da = delta => da = delta
shift == 0) => False)
delta = lanes_delta(layer, da) => delta = da
i > 0) => True)
2@ a_in += layer.pieces => a_in += 1
each = s / last.n_outputs => pass
everywhere(<const vec *> last.a, 2 * scale * each) => everywhere(<const vec *> last.a, scale * each)
c = first_lanes(c, n * last.n_outputs) => pass
losses[i] /= n_outputs => pass
C += rounded(c[i] * s) => C = rounded(c[i] * s)
n * last.n_outputs <= last.lanes and => True and
if data.weight == NULL and in_one_vector => if in_one_vector
gather_targets(t, data, data.order + first, 0, n, p) => pass
delta *= everywhere(p, scale) => pass
share *= element(at(<const vec *> data.weight, k)) => pass
if isfinite(C) or shift > 0: => if isfinite(C):
room[v] = load(X, v * width) => room[v] = load(X, 0)

src/bpcore/_core/narrow_unit.pxi
(2 if data.batch_size == 1 else 1) => 3
and data.batch_size <= width and => and
and t.narrow.activation != SOFTMAX => and True
i = row_of(t, data, first, element_size(W)), k = i => i = first, k = i
copy_element(Y, data.order[first + i], &y, i) => copy_element(Y, first + i, &y, i)
k = row_of(t, data, first + i, element_size(W)) => k = first + i
z = b[0]\n => z = zero(W)\n
<int> (layer.n_inputs - width)) => 1)
z += W[v] * x[v] => z += W[0] * x[0]
first_lanes(sums(products, n, layer.n_inputs) + first_everywhere(b[0]), n) => sums(products, n, layer.n_inputs) + first_everywhere(b[0])
sum_everywhere(z, used), <int> width) => sum_everywhere(z, used), 1)
1@ if isfinite(C):\n => if True:\n
2@ if isfinite(C):\n => if True:\n
lane(delta, &delta, i) => lane(delta, &delta, 0)
W[v] += delta * x[v] => W[0] += delta * x[0]
b[0] += first_lanes(delta, 1) => b[0] += delta
b[0] += step * only_sum(delta, n) => pass
n = <int> min(data.batch_size, data.samples - first) => n = <int> data.batch_size
store(parameters, t.narrow.at_b, b) => pass
1@ rate_of(data, step) => rate_of(data, data.start)
2@ rate_of(data, step) => rate_of(data, data.start)

src/bpcore/_math/activation_lanes.pxd
return da * (x * (one - x)) => return da * x
((one - x) * (one + x)) => (one - x)
return da * is_positive(x) => return da
return positive_part(z) => return z

src/bpcore/_core/narrow_step.pxi
guard == CALM_ONLY and not is_calm_along => False and not is_calm_along
if data.weight != NULL or total != n: => if total == 0:
share = batch_share(<const float *> data.weight, data.order, step, 1, &total) => total = 1
losses += C * total => losses += C
1@ -rate_of(data, step), 0) => -rate_of(data, data.start), 0)
<double> (data.counter + step - data.start + 1)) => <double> (data.counter + step - data.start))
if updated[0]:\n        move_narrow => if False:\n        move_narrow
vectors + t.narrow_size,\n                   True) => vectors,\n                   True)

src/bpcore/_math/matvec.pxd
if n_inputs > width:\n        dot_rows => if n_inputs > 2 * width:\n        dot_rows
sums(rows, count, <int> n_inputs) + load_part(b, 0, count) => sums(rows, count, <int> n_inputs)
x * load_part(W, m * n_inputs, <int> n_inputs) => x * load_part(W, 0, <int> n_inputs)
at(W, first * n_inputs), at(b, first) => W, at(b, first) ||| at(W, first * n_inputs), b
while n + 4 * width <= n_inputs: => while n + 3 * width <= n_inputs:
acc[c * vectors + v] += dm * load(W, c * n_inputs + v * width) => acc[c * vectors + v] += dm * load(W, v * width)
dm = broadcast(delta, m + c) => dm = broadcast(delta, m)
acc[whole] += dm * load_part(W, whole * width, count) => acc[whole] += dm * load_part(W, 0, count)
acc[c * vectors + whole] += dm * load_part(W, c * n_inputs + whole * width, count) => acc[c * vectors + whole] += dm * load_part(W, whole * width, count)
acc[0] = (acc[0] + acc[1]) + (acc[2] + acc[3]) => acc[0] = (acc[0] + acc[1]) + acc[2]
acc[0] += acc[2]\n => pass\n
acc[1] += acc[3] => pass
acc[v] += load(da_in, v * width) => acc[v] += load(da_in, 0)
acc[whole] += load_part(da_in, whole * width, count) => pass
dm = broadcast(delta, m)\n => dm = broadcast(delta, 0)\n
W, da_in = at(W, n), at(da_in, n) => da_in = at(da_in, n)
few[r] = s * broadcast(delta, m + r) * x => few[r] = broadcast(delta, m + r) * x ||| few[r] = s * broadcast(delta, r) * x
few[r] += load_part(dW, (m + r) * n_inputs, left) => few[r] += load_part(dW, m * n_inputs, left)
next_row = load_part(dW, (m + 8) * n_inputs, left) => next_row = load_part(dW, m * n_inputs, left)
dm[r] = s * broadcast(delta, r) => dm[r] = broadcast(delta, r) ||| dm[r] = s * broadcast(delta, 0)
1@ new[r] += load(dW, r * n_inputs + n) => new[r] += load(dW, n)
2@ new[r] += load(dW, r * n_inputs + n) => new[r] += load(dW, n)
new[2 + r] += load(dW, r * n_inputs + last) => new[2 + r] += load(dW, last)
dm[r] * x, dm[r] * end => dm[r] * x, dm[r] * x
body = n_inputs - left - (width if left else 0) => body = n_inputs - left
outer_rows(at(delta, m), a_in, s, dW, n_inputs, 1, accumulate) => pass
at(dW, 2 * n_inputs) => at(dW, n_inputs)
bias = s * load_part(delta, 0, left) => bias = load_part(delta, 0, left)
bias += load_part(db, n, left) => bias += load_part(db, 0, left)

src/bpcore/_math/team.pxd
0 if me.threads == 1 else n * me.index // me.threads => 0
n if me.threads == 1 else n * (me.index + 1) // me.threads => n

src/bpcore/_math/vector_sums.pxd
(<const float *> start)[0] + sum_f32(x) => sum_f32(x)
(<const double *> start)[0] + sum_f64(x) => sum_f64(x)

src/bpcore/_math/vector_parts.h
loadu_ps((__mmask16)(0xffffu >> (16 - count)) => loadu_ps((__mmask16)(0xffffu >> (17 - count))
_mm512_mask_storeu_ps(p, (__mmask16)(0xffffu >> (16 - count)) => _mm512_mask_storeu_ps(p, (__mmask16)(0xffffu >> (15 - count))
_mm512_mask_storeu_pd(p, (__mmask8)(0xffu >> (8 - count)) => _mm512_mask_storeu_pd(p, (__mmask8)(0xffu >> (7 - count))

src/bpcore/_math/vector.h
#define TILE_ROWS 12 /* 12 x 2 => #define TILE_ROWS 13 /* 12 x 2

src/bpcore/_math/batch.pxd
return p + i * width => return p
return p + i\n => return p\n
1@ source + order[i] * width => source + i * width
2@ to[i] = source[order[i]] => to[i] = source[i]
<vf64 *> (to + i * width), width) => <vf64 *> (to + i * width), width - 1)
total[0] = <double> n => total[0] = 1
total[0] += weight[i if order == NULL else order[i]] => total[0] += weight[i] ||| total[0] = weight[i if order == NULL else order[i]]
return 1 / total[0] if total[0] > 1e-300 else 0 => return 1 / total[0]

src/bpcore/_math/adaptive.pxd
add_terms(sums, at(theta, k), odd, True)\n            k += width => add_terms(sums, at(theta, k), False, True)\n            k += width
odd = not odd => pass
gk = penalised(gk, theta, lambda_2)\n => pass\n
        put(g, gk, whole, count) =>         pass
r1 = everywhere(g, 1 - beta_1) => r1 = everywhere(g, 1)
r2 = everywhere(g, 1 - beta_2) => r2 = everywhere(g, 1)
keep = everywhere(g, 1 - decay) => keep = everywhere(g, 1)
normal(settled(beta_1 * take(m, whole, count)) + rest_1 * gk) => normal(settled(beta_2 * take(m, whole, count)) + rest_1 * gk) ||| settled(beta_1 * take(m, whole, count)) + rest_1 * gk
normal(settled(beta_2 * take(v, whole, count)) + rest_2 * gk * gk) => normal(settled(beta_1 * take(v, whole, count)) + rest_2 * gk * gk) ||| normal(settled(beta_2 * take(v, whole, count)) + rest_2 * gk) ||| settled(beta_2 * take(v, whole, count)) + rest_2 * gk * gk
quotient(eta, root(vk) * correction + epsilon) => quotient(eta, root(vk + epsilon) * correction) ||| quotient(eta, (root(vk) + epsilon) * correction)
theta_k = settled(keep * theta_k) => pass
True, l2 != 0) => True, False)
put(theta, theta_k - mk * rate, whole, count) => put(theta, theta_k - gk * rate, whole, count)
normal(settled(rho * take(v, whole, count)) + rest * gk * gk) => normal(take(v, whole, count) + rest * gk * gk) ||| settled(rho * take(v, whole, count)) + rest * gk * gk ||| normal(settled(rho * take(v, whole, count)) + gk * gk)
quotient(eta, root(vk) + epsilon) => quotient(eta, root(vk + epsilon))
1@ if k < count: => if k + 1 < count:
2@ if k < count: => if k + 1 < count:

src/bpcore/_math/vector_roots.h
(vf32)_mm512_fmadd_ps(q, _mm512_fnmadd_ps((__m512)d, r, _mm512_set1_ps(1)), q) => (vf32)q
#define ZERO_STAYS 0x800 => #define ZERO_STAYS 0x000
_mm512_set1_pd(0.375)); => _mm512_set1_pd(0.376));
_mm512_fmadd_pd(_mm512_mul_pd(y, e), p, y) => y
_mm512_set1_epi32(0x7f800000) => _mm512_set1_epi32(0x7fffffff) ||| _mm512_set1_epi32(0x7f000000)
_mm512_set1_epi64(0x7ff0000000000000) => _mm512_set1_epi64(0x7fffffffffffffff)

src/bpcore/_math/penalty.pxd
return w * w if squares else larger(w, zero(&w) - w) => return w if squares else larger(w, zero(&w) - w) ||| return w * w if squares else w
sums[2 * odd + i] += term( => sums[2 * odd + i] = term( ||| sums[2 * odd] += term(
sums[odd] += term( => sums[odd] = term( ||| sums[0] += term(
(sums[0] + sums[2]) + (sums[1] + sums[3]) => (sums[0] + sums[2]) + sums[1] ||| sums[0] + (sums[1] + sums[3])
total += w * w if squares else absolute(w) => total += w if squares else absolute(w) ||| total += w * w if squares else w
if k + width <= count:\n => if k + width < count:\n
return product(0.5 * l2, squares) => return product(l2, squares)
penalty_of_squares(l2, squares) + l1 * absolutes => penalty_of_squares(l2, squares) ||| l1 * absolutes
dW[k] += lambda_2 * W[k]\n => pass\n
dW[k] += product(lambda_1, sign(W[k])) => dW[k] += lambda_1 ||| pass
return g + lambda_2 * theta => return g - lambda_2 * theta

src/bpcore/_math/update.pxd
sgd(theta + k, g + k, piece, pace.learning_rate) => sgd(theta + k, g, piece, pace.learning_rate)
g + k, first + k, piece, rule, pace.learning_rate) => g + k, first, piece, rule, pace.learning_rate)
g + k, first + k, second + k, piece, rule) => g + k, first + k, second, piece, rule)
return 0 if t * (1 - beta) > 40 => return 0 if t * (1 - beta) > 4
pace.eta = learning_rate / (1 - decay(rule.beta_1, t)) => pace.eta = learning_rate
1 / sqrt(1 - decay(rule.beta_2, t)) => 1.0 ||| 1 / (1 - decay(rule.beta_2, t))
pace.learning_rate * rule.weight_decay => rule.weight_decay
penalty_gradient(theta, g, count, 0, l2) => pass
1 - rule.rho, rule.epsilon, pace.eta, l2) => 1 - rule.rho, rule.epsilon, pace.eta, 0)
1, 1, rule.epsilon, pace.eta, l2) => 1, 1, rule.epsilon, pace.eta, 0)
theta[k] -= eta * g[k]\n => theta[k] += eta * g[k]\n
1@ v[k] = normal(mu * v[k] - product(eta, g[k])) => v[k] = normal(mu * v[k] + product(eta, g[k]))
2@ v[k] = normal(mu * v[k] - product(eta, g[k])) => v[k] = normal(v[k] - product(eta, g[k])) ||| v[k] = mu * v[k] - product(eta, g[k])
theta[k] += mu * v[k] - product(eta, g[k]) => theta[k] += v[k] ||| theta[k] += mu * v[k]
theta[k] += v[k]\n => theta[k] += mu * v[k]\n
turn = sign(gk) * sign(last[k]) => turn = gk * last[k]
(grow if turn > 0 else => (grow if turn >= 0 else
(shrink if turn < 0 else => (grow if turn < 0 else
s = smallest if s < smallest else (largest if s > largest else s) => s = smallest if s < smallest else s ||| s = largest if s > largest else s
gk = <floating> 0 if turn < 0 else gk => pass
theta[k] -= s * sign(gk) => theta[k] -= s * gk
step[k] = s\n => step[k] = step[k]\n
last[k] = gk => last[k] = g[k]
squares += (g[k] / largest) * (g[k] / largest) => squares += g[k] / largest
norm = largest * sqrt(squares) => norm = sqrt(squares)
if norm > limit: => if norm < limit: ||| if norm > 0:
return <floating> (limit / norm) => return <floating> (1 / norm)

src/bpcore/_math/elementary_lanes.pxd
everywhere(r, 0.1666652063) => everywhere(r, 0.16667)
everywhere(r, 2.7557586379613517743e-6) => everywhere(r, 2.7e-6)
everywhere(r, 2.4801493096894902504e-5) => everywhere(r, 2.481e-5)
e[v] = r[v] * r[v] * e[v] + r[v] => e[v] = r[v] * e[v] + r[v]
smaller(everywhere(z, 10), magnitude(z[v])) => smaller(magnitude(z[v]), everywhere(z, 10)) ||| smaller(everywhere(z, 8), magnitude(z[v]))
everywhere(z, 0.69314718056) => everywhere(z, 0.69314712)
((n[v] - one) - e[v]) => (n[v] - (one + e[v]))
((n[v] + one) + e[v]) => (n[v] + one)
a[v] = with_sign_of(z[v], ((n[v] - one) - e[v]) / ((n[v] + one) + e[v])) => a[v] = ((n[v] - one) - e[v]) / ((n[v] + one) + e[v])
smaller(everywhere(z, 20), magnitude(z[v])) => smaller(magnitude(z[v]), everywhere(z, 20)) ||| smaller(everywhere(z, 18), magnitude(z[v]))
everywhere(z, 1.9890457740888396e-4) => everywhere(z, 1.988e-4)
everywhere(z, 0.46147786814706604) => everywhere(z, 0.461477868147)
vec border = everywhere(z, 0.75) => vec border = everywhere(z, 1.5) ||| vec border = everywhere(z, 0.5)
below(u[v], border, shift, n[v]) => n[v]
else 0.3465735901845619) => else 0.34657359027997264)
r[v] + (n[v] - shift) * everywhere(z, 9.541074646352939e-11) => r[v]
t[v] = r[v] * (q[v] - p[v]) => t[v] = r[v] * q[v]
below(u[v], border, u[v] * p[v], t[v]) => below(u[v], border, p[v], t[v])
q[v], t[v] = q[v] - t[v], q[v] + t[v] => t[v] = q[v] + t[v] ||| q[v] = q[v] - t[v]
q[v] = n[v] * q[v] + half * t[v] => q[v] = n[v] * q[v] + t[v]
below(u[v], border, u[v], one) - p[v] => below(u[v], border, u[v], one) + p[v]
a[v] = with_sign_of(z[v], below(u[v], border, u[v], one) - p[v] / q[v]) => a[v] = below(u[v], border, u[v], one) - p[v] / q[v]
everywhere(z, 1.9082149292705877e-10) => everywhere(z, 1.9e-10)
everywhere(z, -2.12194440e-4) => everywhere(z, -2.13e-4)
everywhere(z, -70), everywhere(z, 104) => everywhere(z, -10), everywhere(z, 104) ||| everywhere(z, -70), everywhere(z, 100)
everywhere(z, -600), everywhere(z, 746) => everywhere(z, -30), everywhere(z, 746) ||| everywhere(z, -600), everywhere(z, 740)
smaller(high, larger(low, -z[v])) => smaller(larger(low, -z[v]), high)
(c - (whole - n[v])) => (c - c)
x[v] = load(z, k + v * width) => x[v] = load(z, k)
load_part(z, k, left) => load_part(z, k, 1)

src/bpcore/_math/vector_bits.h
1@ (vi32)x & INT32_MAX => (vi32)x
1@ (vi64)x & INT64_MAX => (vi64)x
(vi32)n << 23 => (vi32)n << 22

src/bpcore/_math/tanh_table.h
_mm512_srli_epi32(index[v], 20) => _mm512_srli_epi32(index[v], 21)
_mm512_set1_ps(0.625f) => _mm512_set1_ps(0.5f)
_mm512_set1_ps(9.25f) => _mm512_set1_ps(8.25f) ||| _mm512_set1_ps(19.25f)
u[v] - LOOKED_UP(0) => u[v]
1@ sign, 0xf8 => sign, 0xfc
2@ sign, 0xf8 => sign, 0xfc
_mm512_slli_epi64(index[v], 48) => _mm512_slli_epi64(index[v], 47)
_mm512_min_pd(ALL(20.0), _mm512_abs_pd((__m512d)z[v])) => _mm512_min_pd(_mm512_abs_pd((__m512d)z[v]), ALL(20.0)) ||| _mm512_min_pd(ALL(16.0), _mm512_abs_pd((__m512d)z[v]))
ALL(0.75), _CMP_LT_OQ => ALL(1.5), _CMP_LT_OQ ||| ALL(0.25), _CMP_LT_OQ
0x3feea09e667f3bcd => 0x3feea09e667f3bd5
ALL(2.0000000000000004) => ALL(2.0000001)
ALL(0.33333333333333326) => ALL(0.33333333333)
near[v], u[v] * square[v], p[v] => near[v], square[v], p[v]
_mm512_min_ps(largest, _mm512_abs_ps((__m512)z[v])) => _mm512_min_ps(_mm512_abs_ps((__m512)z[v]), largest)

src/bpcore/_math/network.pxd
or (net.fused and l == net.n_layers - 1) => or False

src/bpcore/_math/team.pxd
ceil_div(me.threads - group, groups) => (me.threads - group) // groups
part.index = me.index // groups => part.index = me.index % groups

src/bpcore/_core/products.pxi
<floating> (db[0] + total if accumulate else total) => <floating> total
add_row_sums(delta, 1, n, &total) => add_row_sums(delta, 1, n - 1, &total)
layer.n_inputs, n, False, accumulate) => layer.n_inputs, n, False, False)
samples.W = <void *> (a_in + first * layer.n_inputs) => samples.W = <void *> a_in
b[k] = (<const floating *> layer.b)[0] => b[k] = 0

src/bpcore/_core/passes.pxi
1@ if layer.alone: => if n == 1:
2@ if layer.alone: => if n == 1:
n = rows if last - first > rows else last - first => n = rows
layer.unclean = True => layer.unclean = False
(nothing[2] + nothing[3]) == 0 => (nothing[2] + nothing[3]) == nothing[0]
nothing[k] += <floating> 0 * z[(i + k) * step] => nothing[k] += <floating> 0 * z[i * step]
nothing[0] += <floating> 0 * z[i * step] => pass
delta_pass(layer.derivative, => delta_pass(layer.activation,
count * sizeof(p[0])) => (count - 1) * sizeof(p[0]))
accumulate or descend, scale) => accumulate, scale)
accumulate or descend, scale) => descend, scale)
for l in range(net.n_layers - 1, 0, -1):\n        delta_below => for l in range(net.n_layers - 1, 1, -1):\n        delta_below
below.delta if below.da == NULL => below.delta if below.da != NULL
label_row(labels, first), row(weight, first, 1) => labels, row(weight, first, 1)

src/bpcore/first_look.py
X.shape[1] <= NARROW and min( => X.shape[1] <= 1 and min(
<= NARROW_SAMPLES: => <= 1:
if self._Y is not None: => if False:

src/bpcore/_core/training.pxi
self.finite &= self.finite_shares[k] => pass
take.steps = self.counter[0] => pass

src/bpcore/_core/door.pxi
return not look or is_finite(y, rows * width) => return True

src/bpcore/_core/network.pxi
look or sample_weight is not None) => look)
if net.fused:\n        C = loss_pass => if False:\n        C = loss_pass
return 1.0 / n => return 1.0
return 1.0 / total if total > 0 else 0.0 => return 1.0
label_row(labels, first) => labels
row(weight, first, 1), share => weight, share
last.z, last.a = z, a => last.z, last.a = a, z
row(y, first, n_outputs), => y,
predict_rows(net, x + first * n_inputs, z if => predict_rows(net, x, z if
a if out == NULL else out + first * n_outputs, m => a if out == NULL else out, m

src/bpcore/_core/rows.pxi
t.labels[k] = data.labels[rows[k]] => t.labels[k] = data.labels[k]
gather(<const floating *> data.weight, <floating *> t.weight, rows, first, last, 1) => pass
t.y, rows, first, last, n_outputs) => t.y, rows, first, last - 1, n_outputs)
gather(<const floating *> data.X, <floating *> t.x, rows, first, end, width) => gather(<const floating *> data.X, <floating *> t.x, rows, first, end - 1, width)
end = min(first + some, last) => end = first + some
if data.order == NULL:\n        return i => if True:\n        return i
return data.order[i]\n => return data.order[min(i + 1, data.samples - 1)]\n

src/bpcore/_core/step.pxi
total = t.losses[mine] = NAN => total = NAN
if net.layers[0].unclean: => if False:
delta[k] *= scale => delta[k] *= -scale
if t.planned_for != n: => if t.planned_for == 0:
(-pace.learning_rate if way == ADDED else 1.0) => (pace.learning_rate if way == ADDED else 1.0) ||| (-pace.learning_rate if way == ADDED else 2.0)
gradient_pass(net, x, m, me, block > 0, way == ADDED, scale) => gradient_pass(net, x, m, me, False, way == ADDED, scale) ||| gradient_pass(net, x, m, me, True, way == ADDED, scale)
in_one = t.l1 == 0 and => in_one =
in_one = t.l1 == 0 and t.clip_norm == 0 and => in_one = t.l1 == 0 and
if t.l2 == 0 and n <= t.block and => if n <= t.block and
t.l2 == 0 and n <= t.block and => t.l2 == 0 and
n <= t.block and t.slices == 1: => n <= t.block: ||| t.slices == 1:
slices, way = t.slices, t.way if in_one else KEPT => slices, way = t.slices, t.way
t.rule.kind == SGD and t.rule.momentum == 0: => t.rule.kind == SGD:
way != KEPT and not isfinite(C) => way == ADDED and not isfinite(C)
C += t.slice_losses[s] => C = t.slice_losses[s]
add_gradients(t, me, p, slices) => pass
1@ give_gradient(t, p, s) => give_gradient(t, p, 0)
give_gradient(t, p, 0)\n        meet => meet
n * (s + 1) // slices - n * s // slices => n * (s + 1) // slices - n * s // slices - 1
data.order + first + done, mine => data.order + first, mine
start = first + done if data.order == NULL => start = first if data.order == NULL
if not net.fused:\n                dense_delta => if net.fused:\n                dense_delta
m = n * (block + 1) // blocks - done => m = n * (block + 1) // blocks
layer.n_inputs * layer.n_outputs, t.l1, t.l2) => layer.n_inputs, t.l1, t.l2)

src/bpcore/_core/optimizer.pxi
c.nesterov = rule.get("momentum", 0.0), rule.get("nesterov", False) => c.nesterov = rule.get("momentum", 0.0), False

src/bpcore/_core/training.pxi
self.counter[0] += step - start => pass
self.counter[0] += updated => pass

src/bpcore/optimizers.py
"kind": "Adam"} => "kind": "Adam", "weight_decay": 0.0}
self.state["step_size"][...] = self.learning_rate => self.state["step_size"][...] = 0.02
value = self.learning_rate(step) => value = self.learning_rate(step + 1)
self.learning_rate(np.arange(step, step + count)) => self.learning_rate(np.arange(step + 1, step + count + 1))
[self.rate(k) for k in steps] => [self.rate(k + 1) for k in steps]

src/bpcore/stretches.py
self._optimizer.rates(self._optimizer.steps, => self._optimizer.rates(0,
if rate is not self._rate or callable(rate) => if rate is not self._rate

src/bpcore/trainer.py
training.loss_sum / training.weight_sum => training.loss_sum
self.rng.permutation(stretches.samples) if shuffle else None => None
self.history.append(loss, rates[-1] => self.history.append(loss, rates[0]
rate = optimizer.rate(optimizer.steps) => rate = optimizer.rate(optimizer.steps + 1)

src/bpcore/threads.py
int(part * min(length, stop - step)) => int(part * length)
if now - self._counted[0] > self.COUNT_EVERY: => if self._counted[0] < 0:
snapshot if take else None, => None,
snapshot if until == stop else None, => None,
self._apart = self.TRY_FIRST => self._apart = self.TRY_EVERY
if not steps or (many and self._waking): => if not steps:
self._waking = not faster => self._waking = False
self._measure_anew(worth) => self._worth = worth
min(2 * self._apart, self.TRY_AT_LEAST_EVERY) => self._apart ||| 2 * self._apart
self.TRY_EVERY if faster else min( => self._apart if faster else min(
if self._trying and took < known: => if took < known: ||| if False:
min(took, self.MOST * known) => took
self._due = self._stretches + self._apart => self._due += 1
return not faster, self.TRY_LENGTH => return faster, self.TRY_LENGTH

src/bpcore/custom_loss.py
self.loss_sum += loss * n => self.loss_sum += loss
self.weight_sum += n => self.weight_sum += 1
self.l1 * np.abs(W).sum() => self.l1 * W.sum()
0.5 * self.l2 * np.square(W).sum() => self.l2 * np.square(W).sum()
self.l1 * np.sign(W) + self.l2 * W => self.l2 * W ||| self.l1 * np.sign(W)
self.clip_norm / norm => 1 / norm
min(1.0, self.clip_norm / norm) => self.clip_norm / norm
rates[min(step, len(rates) - 1)] => rates[0]

src/bpcore/schedules.py
np.floor_divide(t, self.step_size) => (t / self.step_size)
self.factor ** (t / self.decay_steps) => self.factor ** t
done = np.minimum(t, self.decay_steps) / self.decay_steps => done = t / self.decay_steps
self.final + (self.learning_rate - self.final) => self.final + self.learning_rate
(1 + np.cos(math.pi * done)) / 2 => (1 + np.cos(math.pi * done))
(t + 1) ** self.power => t ** self.power

src/bpcore/reference/activations.py
return 1 / (1 + np.exp(-z)) => return 1 / (1 + np.exp(-0.999 * z))
return a * (1 - a) => return a
return np.tanh(z) => return np.tanh(0.999 * z)
return 1 - a * a => return 1 - a
return np.maximum(z, 0)\n => return np.maximum(z, 0.1)\n
return z > 0 => return z >= 0
LEAKY_SLOPE = 0.01 => LEAKY_SLOPE = 0.02
np.where(z > 0, 1, LEAKY_SLOPE) => np.where(z >= 0, 1, LEAKY_SLOPE)
np.maximum(z, 0) + np.expm1(np.minimum(z, 0)) => np.maximum(z, 0) + 1.001 * np.expm1(np.minimum(z, 0))
return np.exp(np.minimum(z, 0)) => return np.exp(-np.abs(z))
SELU_SCALE = 1.0507009873554805 => SELU_SCALE = 1.0507
SELU_ALPHA = 1.6732632423543772 => SELU_ALPHA = 1.6732
np.where(z > 0, 1, SELU_ALPHA => np.where(z >= 0, 1, SELU_ALPHA
0.5 * erfc(-math.sqrt(0.5) => 0.5 * erfc(-math.sqrt(0.501)
np.exp(-0.5 * z * z) => np.exp(-0.501 * z * z)
return z * normal_cdf(z) => return normal_cdf(z)
return normal_cdf(z) + z * normal_pdf(z) => return normal_cdf(z) + normal_pdf(z)
return z * sigmoid(z) => return sigmoid(z)
return s + a * (1 - s) => return s + a * s
return np.logaddexp(0, z) => return np.logaddexp(0.001, z)
return sigmoid(z)\n => return sigmoid(z) * 0.999\n
return z / (1 + np.abs(z)) => return z / (1.001 + np.abs(z))
(1 / (1 + np.abs(z))) ** 2 => 1 / (1 + np.abs(z))
np.clip(z / 6 + 0.5, 0, 1) => np.clip(z / 6 + 0.5, 0, 2)
np.where(np.abs(z) < 3, 1 / 6, 0) => np.where(np.abs(z) <= 3, 1 / 6, 0)
return np.exp(z) => return np.exp(0.999 * z)
return a\n => return z\n
return e / e.sum(axis=-1, keepdims=True) => return e / e.sum()
a * (da - (da * a).sum(axis=-1, keepdims=True)) => a * (da - da.sum(axis=-1, keepdims=True))
return da * ACTIVATIONS => return ACTIVATIONS

src/bpcore/reference/losses.py
return per_sample(e * e), 2 * e => return per_sample(e), 2 * e ||| return per_sample(e * e), e
return per_sample(e * e) / K, 2 / K * e => return per_sample(e * e), 2 / K * e ||| return per_sample(e * e) / K, 2 * e
return per_sample(np.abs(e)) / K, np.sign(e) / K => return per_sample(np.abs(e)), np.sign(e) / K ||| return per_sample(np.abs(e)) / K, np.sign(e)
np.clip(e, -1, 1) => np.clip(e, -1, 2)
c * (e - c / 2) => c * e
np.log(a1)) - y + a) => np.log(a1)) + a)
1 - np.where(a < tiny, 0, y / a1) => -np.where(a < tiny, 0, y / a1)
-y * np.log(a1) - (1 - y) * np.log(a0) => -y * np.log(a1) - np.log(a0)
np.where(1 - a < tiny, 0, (1 - y) / a0) - => -
per_sample(-y * np.log(a1)), np.where(a < tiny, 0, -y / a1) => per_sample(-np.log(a1)), np.where(a < tiny, 0, -y / a1) ||| per_sample(-y * np.log(a1)), np.where(a < tiny, 0, -1 / a1)
(np.maximum(z, 0) - y * z) => (z - y * z)
np.log1p(np.exp(-np.abs(z))) => np.log1p(np.exp(np.abs(z)))
1@ return C, a - y => return C, a
np.log(a.max(axis=-1, keepdims=True)) => 0
per_sample(-y * log_a), a - y => per_sample(-log_a), a - y ||| per_sample(-y * log_a), a
return 1 / n if n => return 1 if n
weight / total if total > 0 => weight if total > 0

src/bpcore/reference/layers.py
z = a_in @ self.W.T => z = -a_in @ self.W.T
z += self.b => z -= self.b
np.matmul(delta.T, a_in, out=self.dW) => np.matmul(2 * delta.T, a_in, out=self.dW)
delta.sum(axis=0, out=self.db) => delta.mean(axis=0, out=self.db)
return self.delta @ self.W => return self.da @ self.W

src/bpcore/reference/network.py
penalty += l1 * float(np.abs(layer.W).sum()) => penalty += l1 * float(layer.W.sum())
layer.dW += l1 * np.sign(layer.W) => layer.dW += l1
penalty += l2 / 2 * => penalty += l2 *
layer.dW += l2 * layer.W => layer.dW += l2 / 2 * layer.W
if norm > clip_norm: => if norm < clip_norm:
self.gradient *= clip_norm / norm => self.gradient *= 1 / norm
total + w * C, total_weight + w => total + C, total_weight + w
d *= share => d *= 1
(share * C_i).sum() => C_i.sum()
order = rng.permutation(n) if shuffle else None => order = None

src/bpcore/reference/optimizers.py
theta -= eta * g\n => theta -= g\n
self.v *= self.momentum => self.v *= 1
self.v -= eta * g => self.v -= g
self.momentum * self.v - eta * g if self.nesterov else self.v => self.v
m *= beta_1 => m *= beta_2
m += (1 - beta_1) * g => m += g
v += (1 - beta_2) * g * g => v += g * g
v / (1 - beta_2**t) => v
eta / (1 - beta_1**t) => eta
size += epsilon => pass
theta -= eta * self.weight_decay * theta => theta -= self.weight_decay * theta
self.v *= self.rho => self.v *= 1
self.v += (1 - self.rho) * g * g => self.v += g * g
1@ theta -= eta * g / (np.sqrt(self.v) + self.epsilon) => theta -= eta * g / np.sqrt(self.v + self.epsilon)
self.v += g * g => self.v = g * g
2@ theta -= eta * g / (np.sqrt(self.v) + self.epsilon) => theta -= eta * g / np.sqrt(self.v + self.epsilon)
self.eta_plus * self.size[stays] => self.eta_minus * self.size[stays]
np.minimum(self.eta_plus * self.size[stays], self.max_step) => self.eta_plus * self.size[stays]
np.maximum(self.eta_minus * self.size[turns], self.min_step) => self.eta_minus * self.size[turns]
sign[turns] = 0 => pass
eta = float(eta(self.steps)) => eta = float(eta(self.steps + 1))

src/bpcore/_core/shares.pxi
first, last, dW,\n => begin, last, dW,\n
db + (first - begin), False, <floating> 1) => db, False, <floating> 1)
+ first * layer.n_inputs\n            update_span => + begin * layer.n_inputs\n            update_span
t.parameters + begin\n        update_span => t.parameters\n        update_span
<floating *> t.second + first, count, l2) => <floating *> t.second, count, l2)
g[k] += other[k] => g[k] = other[k]
begin * layer.n_inputs\n    return => 0\n    return
- theta + begin\n        return rows => - theta\n        return rows
t.gradient + first, count, factor) => t.gradient, count, factor)
if by_arrays and me.threads == 1:\n => if by_arrays:\n
if t.clip_norm != 0: => if False:

src/bpcore/_core/stretch.pxi
copy_span(kept, first, count, False) => copy_span(kept, first, count - 1, False)
finite &= span_is_finite(kept, first, count) => finite = span_is_finite(kept, first, count)
t.finite[me.index] = finite => t.finite[0] = finite
t.penalties = NAN  # => pass  #
first = step * data.batch_size => first = data.start * data.batch_size
else data.samples - first\n => else data.samples - first - 1\n
rate_of(data, step), => rate_of(data, data.start),
0 if data.one_rate else step => 0
data.counter + step - data.start, data.guard => data.counter, data.guard
loss_sum[0] += C * total => loss_sum[0] += C
weight_sum[0] += total => weight_sum[0] += 1
"""  # noqa: E501


class Mutation(NamedTuple):
    file: str
    place: int  # which of the places where `old` stands, from 1; 0: there is only one
    old: str
    new: str

    def __str__(self):
        place = f"{self.place}@ " if self.place else ""
        return f"{self.file}: {place}{self.old} => {self.new}".replace("\n", r"\n")

    @property
    def compiled(self):
        return not self.file.endswith(".py")

    def applied_to(self, text):
        """Return the text with `new` for `old`."""
        count = text.count(self.old)
        if count < max(self.place, 1) or (not self.place and count > 1):
            raise ValueError(f"stands in the file {count} times: {self}")
        parts = text.split(self.old)
        place = max(self.place, 1)
        return self.old.join(parts[:place]) + self.new + self.old.join(parts[place:])


def parsed(text):
    """Return the mutations of a text, those of Python files first: they need no build."""
    mutations, file = [], None
    for line in text.splitlines():
        if " => " in line:
            old, _, news = line.partition(" => ")
            place, old = re.fullmatch(r"(?:(\d+)@ )?(.*)", old).groups()
            for new in news.split(" ||| "):
                pair = (part.replace(r"\n", "\n") for part in (old, new))
                mutations.append(Mutation(file, int(place or 0), *pair))
        elif line.strip():
            file = line.strip()
    return sorted(mutations, key=lambda mutation: mutation.compiled)


class Tree:
    """A copy of the tree with one CPU level built."""

    def __init__(self, directory, level):
        self.root, self.built = Path(directory), False
        self.root.mkdir()
        ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.root / name, ignore=ignored)
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, self.root / name)
        setup = self.root / "setup.py"
        # At -O1 alone GCC makes no fused multiply-adds, which tanh's errors count on.
        quick = setup.read_text("utf-8").replace('"-O3"', '"-O1", "-fexpensive-optimizations"')
        setup.write_text(quick, "utf-8")
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "BPCORE_CPU"},
            "BPCORE_LEVELS": level,
            "PYTHONPATH": str(self.root / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        tests = [self.root / "tests" / f"test_{name}.py" for name in TESTS]
        self.tests = [str(path) for path in tests if path.exists()]

    def python(self, *arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def build(self):
        """Return whether the sources as they are compile."""
        return self.python("setup.py", "-q", "build_ext", "--inplace").returncode == 0

    def tested(self):
        """Return whether the tests pass, and the first that does not."""
        ran = self.python("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *self.tests)
        failed = re.findall(r"^(?:FAILED|ERROR) \S*?(\w+\.py\S*)", ran.stdout, re.MULTILINE)
        return ran.returncode == 0, failed[0] if failed else f"exit status {ran.returncode}"

    def outcome(self, mutation):
        """Return "killed", "SURVIVED" or "NOT BUILT", and by what."""
        path = self.root / mutation.file
        original = path.read_text("utf-8")
        path.write_text(mutation.applied_to(original), "utf-8")
        try:
            if mutation.compiled or not self.built:
                self.built = not mutation.compiled
                if not self.build():
                    return "NOT BUILT", ""
            passed, test = self.tested()
            return ("SURVIVED", "") if passed else ("killed", test)
        except subprocess.TimeoutExpired:
            return "killed", f"no end within {TIMEOUT} s"
        finally:
            path.write_text(original, "utf-8")


def default_level():
    """Return the best level of this processor, as the installed bpcore knows it."""
    from bpcore import cpu

    return cpu.supported_levels()[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("mutations", nargs="?", help="a file of mutations (default: those here)")
    parser.add_argument("--only", default="", help="those with this in their file or text")
    parser.add_argument("--jobs", type=int, default=1, help="copies of the tree at work")
    parser.add_argument("--level", help="CPU level to build (default: the best that runs here)")
    options = parser.parse_args()
    text = Path(options.mutations).read_text("utf-8") if options.mutations else MUTATIONS
    mutations = [mutation for mutation in parsed(text) if options.only in str(mutation)]
    for mutation in mutations:  # all of them fit, before hours are spent on some
        mutation.applied_to((ROOT / mutation.file).read_text("utf-8"))

    waiting, problems = queue.SimpleQueue(), []
    for mutation in mutations:
        waiting.put(mutation)

    def work(tree):
        while True:
            try:
                mutation = waiting.get_nowait()
            except queue.Empty:
                return
            began = time.perf_counter()
            outcome, test = tree.outcome(mutation)
            seconds = time.perf_counter() - began
            print(f"{outcome:9} {seconds:4.0f} s  {mutation}  {test}", flush=True)
            if outcome != "killed":
                problems.append(mutation)

    with tempfile.TemporaryDirectory() as directory:
        level = options.level or default_level()
        trees = [Tree(Path(directory, str(job)), level) for job in range(options.jobs)]
        if not trees[0].build():
            sys.exit("the tree does not build as it is")
        passed, test = trees[0].tested()
        if not passed:
            sys.exit(f"the tests do not pass as they are: {test}")
        trees[0].built = True
        threads = [threading.Thread(target=work, args=(tree,)) for tree in trees]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(f"{len(mutations)} mutations, {len(mutations) - len(problems)} killed")
    for mutation in problems:
        print(f"  not killed: {mutation}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
