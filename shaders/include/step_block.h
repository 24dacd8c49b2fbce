// SPDX-License-Identifier: MIT
// What changes from run to run of a recorded program. Read by C and by GLSL: only #define lines here.
//
// The tensor "steps" (u32) is a header of STEP_WORDS words, then STEP_RING blocks of STEP_WORDS words.
// Header word 0 is the run counter; run r reads block r % STEP_RING, and the program's last node increments
// the counter. The host writes block r before it submits run r, never one of a run still in flight.
// "metrics" (f32) is a ring of STEP_RING blocks of METRIC_WORDS words, written likewise.
#ifndef IGVK_STEP_BLOCK_H
#define IGVK_STEP_BLOCK_H

#define STEP_RING 64
#define STEP_WORDS 64
#define METRIC_WORDS 16

/* words of a step block; floats as their bits */
#define STEP_INDEX 0            /* optimizer step (from 0) or solver step: the random numbers' step word */
#define STEP_SEED_LOW 1         /* training: the run's seed */
#define STEP_SEED_HIGH 2
#define STEP_ITEM 3             /* training: place of this micro-batch's first sample in the effective batch */
#define STEP_TIME 4             /* sampling: the model's time, f32 */
#define STEP_IG_SCALE 5         /* 1 where off */
#define STEP_CFG_SCALE 6        /* 1 where off */
#define STEP_COEFFICIENTS 8     /* 4 pairs of floats (high, low): state, velocity, previous velocity, noise */
#define STEP_COMMIT 16          /* 1: the solver's result becomes the state; 0: only the next model input */
#define STEP_LEARNING_RATE 20
#define STEP_BETA1 21
#define STEP_BETA2 22           /* 1 - beta computed in f64: STEP_RATE1, STEP_RATE2 */
#define STEP_EPSILON 23
#define STEP_WEIGHT_DECAY 24
#define STEP_BIAS1 25           /* learning rate / (1 - beta1^k), k: updates taken, this one included */
#define STEP_BIAS2 26           /* 1 / sqrt(1 - beta2^k) */
#define STEP_MAX_NORM 27
#define STEP_EMA_DECAY 28       /* d; and 1 - d computed in f64: */
#define STEP_EMA_RATE 29
#define STEP_LOSS_SCALE 30      /* 1 / micro-batches: weight of this micro-batch's mean in the loss */
#define STEP_RATE1 31
#define STEP_RATE2 32
#define STEP_SLOT 33            /* Runge-Kutta: the slope that this call's velocity becomes */
#define STEP_SLOPES 34          /* RUNGE_KUTTA_SLOPES pairs of floats (high, low): the slopes' weights */
#define STEP_ABSOLUTE 48        /* tolerances: absolute + relative * magnitude */
#define STEP_RELATIVE 49
#define STEP_LOG_VARIANCE 50 /* noising process: least and most of the step's noise, 2 floats */
#define STEP_CLIP 52         /* 1: the prediction of the image is kept in [-1, 1] */
#define STEP_NOISY 53        /* 1: the step adds noise */
#define STEP_MUON_MOMENTUM 54   /* m; and 1 - m computed in f64: */
#define STEP_MUON_RATE 55
#define STEP_MUON_DECAY 56      /* of matrices; STEP_WEIGHT_DECAY is of what AdamW takes */

#define STEP_SKIPPED 57         /* steps skipped that the host knew of: BIAS1 and BIAS2 count all others as taken */
#define STEP_BIAS_FEWER 58      /* STEP_FEWER pairs (BIAS1, BIAS2): 1, 2 more skipped than that */

#define STEP_FEWER 2 /* most updates in flight when a block is written */
#define RUNGE_KUTTA_SLOPES 7

/* words of "training.guard", a state that updates read and write (u32; the scale as a float's bits) */
#define GUARD_STOP 0    /* not 0: a gradient was not finite, every update since is held back */
#define GUARD_SCALE 1   /* of the loss, a power of two */
#define GUARD_GOOD 2    /* steps taken since the scale changed */
#define GUARD_SKIPPED 3 /* steps skipped in all, each of which halved the scale */
#define GUARD_WORDS 4
#define LOSS_SCALE_START 65536.0
#define LOSS_SCALE_LEAST 1.0
#define LOSS_SCALE_INTERVAL 2000 /* good steps until it doubles */

/* words of the norm of a gradient (f32) */
#define NORM_VALUE 0
#define NORM_COEFFICIENT 1 /* what the gradient is multiplied with: of clipping, over the loss scale */
#define NORM_TAKEN 2       /* 1: the step is taken */
#define NORM_AVERAGED 3    /* 1: the EMA moves, also at a skipped step */
#define NORM_BIAS1 4
#define NORM_BIAS2 5
#define NORM_WORDS 6

/* words of a metrics block */
#define METRIC_LOSS 0 /* the weighted sum of the terms, this micro-batch's mean */
#define METRIC_GRADIENT_NORM 1
#define METRIC_FINITE 2 /* 0: updates are held back from here on */
#define METRIC_SCALE 3  /* of the loss, at this step */
#define METRIC_TERMS 4  /* LOSS_TERMS words: the terms' means, unweighted */
#define METRIC_SKIPPED 12 /* steps skipped in all, this one included */

#define LOSS_TERMS 8

#endif
