# SPDX-License-Identifier: MIT
# cmake -DINPUT=FILE.spv -DOUTPUT=FILE.inc -P EmbedWords.cmake: little-endian words as C, eight a line.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," words "${bytes}")
string(REPEAT "[^,]*," 8 eight)
string(REGEX REPLACE "(${eight})" "\\1\n" words "${words}")
file(WRITE ${OUTPUT} "${words}\n")
