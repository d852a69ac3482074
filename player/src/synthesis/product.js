/**
 * The matrix product that a generator consists of: by a kernel in WebAssembly SIMD, or in plain JavaScript where a
 * browser has none.
 *
 * Rows may overlap, so a convolution is one product: its windows lie in memory one step after the other. Matrices are
 * kept in panels of 8 columns, `[columns / 8, k, 8]`, each of which is read from its beginning to its end.
 */

/** Columns of a panel; a matrix has a multiple of it. */
export const PANEL = 8;

/**
 * Makes the memory in which products are computed.
 *
 * @param {ArrayBuffer|null} kernel - kernel.wasm; without it, or where it does not run, products are computed in
 *     JavaScript.
 * @param {number} size - Numbers that are needed.
 * @returns {{numbers: Float32Array, multiply: function, isFast: boolean}} `multiply(a, step, b, bias, c, rows, k,
 *     columns, isRectified)` computes row i of `[rows, columns]` at c: of the k numbers at a + i step, times the matrix
 *     in panels at b, plus the bias; what is negative becomes zero if it is rectified. All places are indices of
 *     `numbers`.
 */
export function makeProduct(kernel, size) {
  const instance = kernel && instantiate(kernel);
  if (!instance) {
    const numbers = new Float32Array(size);
    return { numbers, multiply: multiplyIn(numbers), isFast: false };
  }
  const { memory, base, multiply } = instance.exports;
  const missing = base() + 4 * size - memory.buffer.byteLength;
  memory.grow(Math.max(0, Math.ceil(missing / 65536)));
  const numbers = new Float32Array(memory.buffer, base(), size);
  const at = (index) => base() + 4 * index;
  return {
    numbers,
    multiply: (a, step, b, bias, c, ...rest) => multiply(at(a), step, at(b), at(bias), at(c), ...rest),
    isFast: true,
  };
}

/** An instance of the kernel; null where the browser has no WebAssembly or no SIMD. */
function instantiate(kernel) {
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(kernel));
  } catch {
    return null;
  }
}

/** The product in JavaScript: sixteen sums at a time, four rows by four columns. */
function multiplyIn(x) {
  return (a, step, b, bias, c, rows, k, columns, isRectified) => {
    for (let column = 0; column < columns; column += 4) {
      const first = b + (column - (column % PANEL)) * k + (column % PANEL);
      const end = first + k * PANEL;
      for (let row = 0; row < rows; row += 4) {
        // Where fewer than four rows are left, the last one is computed more than once.
        const r1 = Math.min(row + 1, rows - 1);
        const r2 = Math.min(row + 2, rows - 1);
        const r3 = Math.min(row + 3, rows - 1);
        let a0 = a + row * step;
        let a1 = a + r1 * step;
        let a2 = a + r2 * step;
        let a3 = a + r3 * step;
        let c00 = x[bias + column];
        let c01 = x[bias + column + 1];
        let c02 = x[bias + column + 2];
        let c03 = x[bias + column + 3];
        let [c10, c11, c12, c13] = [c00, c01, c02, c03];
        let [c20, c21, c22, c23] = [c00, c01, c02, c03];
        let [c30, c31, c32, c33] = [c00, c01, c02, c03];
        for (let w = first; w < end; w += PANEL) {
          const b0 = x[w];
          const b1 = x[w + 1];
          const b2 = x[w + 2];
          const b3 = x[w + 3];
          const x0 = x[a0++];
          c00 += x0 * b0;
          c01 += x0 * b1;
          c02 += x0 * b2;
          c03 += x0 * b3;
          const x1 = x[a1++];
          c10 += x1 * b0;
          c11 += x1 * b1;
          c12 += x1 * b2;
          c13 += x1 * b3;
          const x2 = x[a2++];
          c20 += x2 * b0;
          c21 += x2 * b1;
          c22 += x2 * b2;
          c23 += x2 * b3;
          const x3 = x[a3++];
          c30 += x3 * b0;
          c31 += x3 * b1;
          c32 += x3 * b2;
          c33 += x3 * b3;
        }
        const put = (r, s0, s1, s2, s3) => {
          const target = c + r * columns + column;
          x[target] = isRectified && s0 < 0 ? 0 : s0;
          x[target + 1] = isRectified && s1 < 0 ? 0 : s1;
          x[target + 2] = isRectified && s2 < 0 ? 0 : s2;
          x[target + 3] = isRectified && s3 < 0 ? 0 : s3;
        };
        put(row, c00, c01, c02, c03);
        put(r1, c10, c11, c12, c13);
        put(r2, c20, c21, c22, c23);
        put(r3, c30, c31, c32, c33);
      }
    }
  };
}
