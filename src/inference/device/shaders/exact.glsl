// Arithmetic with the host's bits. Vulkan promises correctly rounded sums and products only: quotients may be 2.5 units off,
// conversions may round either way, small numbers of half precision may become zero, and a product and a sum may be contracted
// unless a variable is `precise`.

bool finite(float value) { return (floatBitsToUint(value) & 0x7f800000) != 0x7f800000; }

// The nearest half, ties to even, as its bits.
uint narrowed(float value) {
    uint bits = floatBitsToUint(value), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return sign | 0x7e00;
    if (size >= 0x477ff000) return sign | 0x7c00;
    // Below 2^-14 halves are whole numbers of 2^-24, the step of single precision from 1/2 to 1.
    precise float small = uintBitsToFloat(size) + 0.5;
    uint rounded = (size + 0xfff + (size >> 13 & 1)) >> 13;
    return sign | (size < 0x38800000 ? floatBitsToUint(small) - 0x3f000000 : rounded - (112 << 10));
}

float widened(uint bits) {
    uint size = bits & 0x7fff;
    float small = float(int(size)) * uintBitsToFloat(0x33800000);
    uint large = size >= 0x7c00 ? size << 13 | 0x7f800000 : (size << 13) + 0x38000000;
    float value = size < 0x400 ? small : uintBitsToFloat(large);
    return (bits & 0x8000) != 0 ? -value : value;
}

// High and low half of a number: products of halves are exact (Veltkamp).
void halves(float x, out float high, out float low) {
    precise float c = 4097.0 * x;
    precise float d = c - x;
    precise float h = c - d;
    precise float l = x - h;
    high = h;
    low = l;
}

// a - q * b, which is a single number where q is within a unit of a / b (Dekker).
float remainder_(float a, float q, float b) {
    float qh, ql, bh, bl;
    halves(q, qh, ql);
    halves(b, bh, bl);
    precise float p = q * b;
    precise float e = qh * bh;
    e = e - p;
    precise float f = qh * bl;
    e = e + f;
    f = ql * bh;
    e = e + f;
    f = ql * bl;
    e = e + f;
    precise float r = a - p;
    r = r - e;
    return r;
}

// a / b, correctly rounded where all three are well within the normal numbers: one exact correction, and of the number that it
// gives and its neighbours the one that leaves least. Beyond, halves of a number would overflow.
float divided(float a, float b) {
    const float LARGE = 1e34;
    if (b == 1.0) return a;
    float q = a / b;
    bool inside = abs(a) < LARGE && abs(b) < LARGE && abs(q) < LARGE;
    if (q == 0.0 || !finite(q) || !inside) return q;
    precise float better = q + remainder_(a, q, b) / b;
    float least = abs(remainder_(a, better, b));
    float best = better;
    [[unroll]] for (int step = -1; step <= 1; step += 2) {
        float near = intBitsToFloat(floatBitsToInt(better) + step);
        float rest = abs(remainder_(a, near, b));
        if (rest < least) {
            least = rest;
            best = near;
        }
    }
    return best;
}

// e to the power of x, as src/restore/kernels.rs has it (the polynomial of the Cephes library's expf, Moshier).
float exponential(float x) {
    float bounded = x < 88.0 ? x : 88.0;
    bounded = bounded > -87.0 ? bounded : -87.0;
    precise float scaled = bounded * 1.44269504;
    precise float shifted = scaled + 12582912.0;
    precise float n = shifted - 12582912.0;
    precise float high = n * 0.6933594;
    precise float low = n * 2.1219444e-4;
    precise float rest = bounded - high;
    rest = rest + low;
    precise float sum = 1.9875691e-4;
    sum = sum * rest;
    sum = sum + 1.3981999e-3;
    sum = sum * rest;
    sum = sum + 8.333452e-3;
    sum = sum * rest;
    sum = sum + 4.1665796e-2;
    sum = sum * rest;
    sum = sum + 1.6666665e-1;
    sum = sum * rest;
    sum = sum + 0.5;
    sum = sum * rest;
    sum = sum * rest;
    sum = sum + rest;
    sum = sum + 1.0;
    precise float value = sum * uintBitsToFloat(uint(int(n) + 127) << 23);
    return x < -87.0 ? 0.0 : value;
}
