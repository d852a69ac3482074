/**
 * The matrix product that a generator consists of, in WebAssembly SIMD.
 *
 * Compiled with AssemblyScript: asc kernel.ts --runtime stub --enable simd -O3 --noAssert. All pointers are in bytes,
 * all counts in numbers, float32.
 *
 *                      columns, 8 a panel
 *                      +--------+--------+--
 *                    k | panel  | panel  |         a panel lies in one piece, row after row, and is taken in blocks of
 *                      +--------+--------+--       so many rows as stay in the innermost cache
 *           k
 *      +---------+     +--------+
 *    4 |  rows   |     | 4 x 8  |                  eight registers
 *      +---------+     +--------+
 */

/** Bytes of a number. */
const SIZE: usize = 4;

/** Columns of a panel. */
const COLUMNS: usize = 8;
const COLUMNS_BYTES: usize = COLUMNS * SIZE;

/** Rows of a block of a panel: 16 KiB. */
const BLOCK: usize = 512;

/** The first byte of the memory that is free. */
export function base(): usize {
  return (__heap_base + 15) & ~15;
}

/**
 * Multiplies rows, which may overlap, by a matrix, adds a bias, and rectifies.
 *
 * @param a - The first row.
 * @param step - Numbers from the beginning of a row to that of the next.
 * @param b - The matrix, `[columns / 8, k, 8]`.
 * @param bias - `[columns]`.
 * @param c - The result, `[rows, columns]`.
 * @param rows
 * @param k - Numbers of a row.
 * @param columns - A multiple of 8.
 * @param isRectified - Whether negative results become zero.
 */
export function multiply(
  a: usize,
  step: usize,
  b: usize,
  bias: usize,
  c: usize,
  rows: usize,
  k: usize,
  columns: usize,
  isRectified: bool,
): void {
  const stepBytes = step * SIZE;
  const rowBytes = columns * SIZE;
  for (let panel: usize = 0; panel < columns; panel += COLUMNS) {
    for (let first: usize = 0; first < k; first += BLOCK) {
      const count = min(BLOCK, k - first);
      const isFirst = first == 0;
      const isLast = isRectified && first + count == k;
      const weights = b + (panel * k + first * COLUMNS) * SIZE;
      let source = a + first * SIZE;
      let target = c + panel * SIZE;
      let left = rows;
      for (; left >= 4; left -= 4) {
        const sums = isFirst ? bias + panel * SIZE : target;
        fourRows(source, stepBytes, weights, sums, isFirst ? 0 : rowBytes, target, rowBytes, count, isLast);
        source += 4 * stepBytes;
        target += 4 * rowBytes;
      }
      for (; left > 0; left--) {
        oneRow(source, weights, isFirst ? bias + panel * SIZE : target, target, count, isLast);
        source += stepBytes;
        target += rowBytes;
      }
    }
  }
}

/** Adds the products of four rows and a block of a panel to what is at `sums`, in rows of `sumBytes`. */
// @ts-ignore: decorator
@inline
function fourRows(
  a: usize,
  stepBytes: usize,
  weights: usize,
  sums: usize,
  sumBytes: usize,
  target: usize,
  rowBytes: usize,
  count: usize,
  isRectified: bool,
): void {
  let a0 = a;
  let a1 = a0 + stepBytes;
  let a2 = a1 + stepBytes;
  let a3 = a2 + stepBytes;
  const s1 = sums + sumBytes;
  const s2 = s1 + sumBytes;
  const s3 = s2 + sumBytes;
  let c00 = v128.load(sums), c01 = v128.load(sums, 16);
  let c10 = v128.load(s1), c11 = v128.load(s1, 16);
  let c20 = v128.load(s2), c21 = v128.load(s2, 16);
  let c30 = v128.load(s3), c31 = v128.load(s3, 16);
  const end = weights + count * COLUMNS_BYTES;
  // Unrolled, it is slower.
  for (let w = weights; w < end; w += COLUMNS_BYTES) {
    const b0 = v128.load(w), b1 = v128.load(w, 16);
    const x0 = v128.load32_splat(a0);
    c00 = f32x4.add(c00, f32x4.mul(x0, b0));
    c01 = f32x4.add(c01, f32x4.mul(x0, b1));
    const x1 = v128.load32_splat(a1);
    c10 = f32x4.add(c10, f32x4.mul(x1, b0));
    c11 = f32x4.add(c11, f32x4.mul(x1, b1));
    const x2 = v128.load32_splat(a2);
    c20 = f32x4.add(c20, f32x4.mul(x2, b0));
    c21 = f32x4.add(c21, f32x4.mul(x2, b1));
    const x3 = v128.load32_splat(a3);
    c30 = f32x4.add(c30, f32x4.mul(x3, b0));
    c31 = f32x4.add(c31, f32x4.mul(x3, b1));
    a0 += SIZE;
    a1 += SIZE;
    a2 += SIZE;
    a3 += SIZE;
  }
  put(target, c00, c01, isRectified);
  put(target + rowBytes, c10, c11, isRectified);
  put(target + 2 * rowBytes, c20, c21, isRectified);
  put(target + 3 * rowBytes, c30, c31, isRectified);
}

/** As `fourRows`, of one. */
// @ts-ignore: decorator
@inline
function oneRow(a: usize, weights: usize, sums: usize, target: usize, count: usize, isRectified: bool): void {
  let x = a;
  let c0 = v128.load(sums), c1 = v128.load(sums, 16);
  const end = weights + count * COLUMNS_BYTES;
  for (let w = weights; w < end; w += COLUMNS_BYTES) {
    const x0 = v128.load32_splat(x);
    c0 = f32x4.add(c0, f32x4.mul(x0, v128.load(w)));
    c1 = f32x4.add(c1, f32x4.mul(x0, v128.load(w, 16)));
    x += SIZE;
  }
  put(target, c0, c1, isRectified);
}

// @ts-ignore: decorator
@inline
function put(target: usize, low: v128, high: v128, isRectified: bool): void {
  if (isRectified) {
    const zero = f32x4.splat(0);
    low = f32x4.max(low, zero);
    high = f32x4.max(high, zero);
  }
  v128.store(target, low);
  v128.store(target, high, 16);
}
