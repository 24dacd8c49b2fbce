// SPDX-License-Identifier: MIT
// What the kernels of a noising process share (chapter 5; official code: DiT/diffusion/gaussian_diffusion.py): the row
// of numbers that a sample's time stands for, and the variational term of one element, in bits.
#define TERMS 6           // numbers of a sample:
#define TERM_IMAGE 0      // sqrt(abar): x_t = sqrt(abar) x + sqrt(1 - abar) n
#define TERM_NOISE 1      // sqrt(1 - abar)
#define TERM_LEAST 2      // log of the posterior's variance
#define TERM_SPREAD 3     // log of beta, less that
#define TERM_MEAN 4       // the predicted mean's error over that of the noise
#define TERM_FIRST 5      // 1 at time 0, whose term is the likelihood of the image's bytes
#define IN_BITS 1.442695041
#define HALF_BYTE 0.003921568627 // half the distance of two bytes in [-1, 1]
#define LEAST_LIKELY 1e-12

struct noising_terms {
    float least, spread, mean;
    bool first;
};

// The normal cdf as the official code takes it, by tanh.
float noising_cdf(float x) {
    return igvk_sigmoid(x * (1.5957691 + 0.071354814 * (x * x)));
}

float noising_density(float x) {
    const float s = noising_cdf(x);
    return s * noising_cdf(-x) * (1.5957691 + 0.21406445 * (x * x));
}

// The chance of the image's byte x, whose middle lies `centre` from the mean: cdf(plus) - cdf(minus), taken from the side
// where both are small; the first and the last byte reach to infinity.
float noising_likelihood(float x, float plus, float minus) {
    if (x < -0.999)
        return noising_cdf(plus);
    if (x > 0.999)
        return noising_cdf(-minus);
    return plus + minus > 0.0 ? noising_cdf(-minus) - noising_cdf(-plus) : noising_cdf(plus) - noising_cdf(minus);
}

// In bits. x: the image; error: predicted less true noise; v: the variance's output.
float variational_term(noising_terms t, float x, float error, float v) {
    const float over = (0.5 + 0.5 * v) * t.spread, centre = t.mean * error;
    if (t.first) {
        const float scale = igvk_exp(-0.5 * (t.least + over));
        const float p = noising_likelihood(x, scale * (centre + HALF_BYTE), scale * (centre - HALF_BYTE));
        return -IN_BITS * igvk_log(max(p, LEAST_LIKELY));
    }
    return 0.5 * IN_BITS * (over - 1.0 + igvk_exp(-over) + centre * centre * igvk_exp(-(t.least + over)));
}

// Its derivative with respect to v.
float variational_slope(noising_terms t, float x, float error, float v) {
    const float over = (0.5 + 0.5 * v) * t.spread, centre = t.mean * error;
    if (t.first) {
        const float scale = igvk_exp(-0.5 * (t.least + over));
        const float plus = scale * (centre + HALF_BYTE), minus = scale * (centre - HALF_BYTE);
        const float p = noising_likelihood(x, plus, minus);
        const float from_plus = x > 0.999 ? 0.0 : plus * noising_density(plus);
        const float from_minus = x < -0.999 ? 0.0 : minus * noising_density(minus);
        return p > LEAST_LIKELY ? 0.25 * IN_BITS * t.spread * igvk_divide(from_plus - from_minus, p) : 0.0;
    }
    return 0.25 * IN_BITS * t.spread * (1.0 - igvk_exp(-over) - centre * centre * igvk_exp(-(t.least + over)));
}
