// SPDX-License-Identifier: MIT
// A file's content in 64 bits, to tell two files of one name apart. No protection against forgery.
#ifndef IGVK_CORE_DIGEST_H
#define IGVK_CORE_DIGEST_H

#include "core/status.h"

// FNV-1a of the size and the content; of a file over 64 MiB, of its first MiB and 1024 pieces of 64 KiB spread evenly
// up to its end: of weights, training changes all.
igvk_status file_digest(const char *path, uint64_t *out);

#endif
