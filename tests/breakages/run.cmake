# SPDX-License-Identifier: MIT
# A test of a test: builds igvk with one fault planted (IGVK_BREAK) and passes only if the test TARGET then fails with
# a cmocka test that says NOTICED_BY, rather than in the build or by a crash. That it passes without the fault is the
# usual suite's to show. All breakages share FOLDER: from one to the next only what holds the faults is built again.
#
#     cmake -DBREAK=NAME -DTARGET=TEST -DNOTICED_BY=REGEX -DSOURCE=DIR -DFOLDER=DIR -DCOMPILER=CC
#           [-DARGUMENT=TEXT] [-DPROBE=PROGRAM] -P run.cmake
#
# ARGUMENT: of the test program; picks one test of many. PROBE: asks for a device first (driver_probe); where there is
# none the test is skipped.
cmake_minimum_required(VERSION 3.22)

if(PROBE)
  execute_process(COMMAND ${PROBE} OUTPUT_VARIABLE said RESULT_VARIABLE no_device)
  if(no_device)
    message("${said}")
    return()
  endif()
endif()

function(must_succeed what)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE said ERROR_VARIABLE said RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "${what} with the fault ${BREAK} failed:\n${said}")
  endif()
endfunction()

must_succeed("Configuring" ${CMAKE_COMMAND} -S ${SOURCE} -B ${FOLDER} -DCMAKE_BUILD_TYPE=Release
             -DCMAKE_C_COMPILER=${COMPILER} -DIGVK_BREAK=${BREAK})
must_succeed("Building" ${CMAKE_COMMAND} --build ${FOLDER} --parallel --target ${TARGET})

execute_process(COMMAND ${FOLDER}/${TARGET} ${ARGUMENT} WORKING_DIRECTORY ${FOLDER} OUTPUT_VARIABLE said ERROR_VARIABLE said
                RESULT_VARIABLE result)
if(result STREQUAL "0")
  message(FATAL_ERROR "${TARGET} passes with the fault ${BREAK}: it would not notice it")
elseif(NOT result MATCHES "^[0-9]+$")
  message(FATAL_ERROR "${TARGET} with the fault ${BREAK} ended by '${result}', not in a failed test:\n${said}")
elseif(NOT said MATCHES "\\[  FAILED  \\]" OR NOT said MATCHES "${NOTICED_BY}")
  message(FATAL_ERROR "${TARGET} with the fault ${BREAK} failed, but not by ${NOTICED_BY}:\n${said}")
endif()
message("${BREAK}: ${TARGET} notices\n${said}")
