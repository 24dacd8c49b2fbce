# SPDX-License-Identifier: MIT
# IGVK_BREAK=NAME plants one fault, for a test of the tests (tests/breakages): defines IGVK_BREAK_NAME in the sources
# that speak of it and in no other, so that changing it builds little again.
set(IGVK_BREAK "" CACHE STRING "Plant one fault for a test of the tests: defines IGVK_BREAK_<this> in C and GLSL")

# Sets `out` to whether this source holds the fault.
function(igvk_holds_fault source out)
  set(lines)
  if(IGVK_BREAK)
    file(STRINGS ${source} lines REGEX "^ *#if.*IGVK_BREAK_${IGVK_BREAK}([^A-Z0-9_]|$)")
  endif()
  if(lines)
    set(${out} TRUE PARENT_SCOPE)
  else()
    set(${out} FALSE PARENT_SCOPE)
  endif()
endfunction()

if(IGVK_BREAK)
  set(held FALSE)
  file(GLOB_RECURSE sources src/*.c shaders/*.comp)
  foreach(source IN LISTS sources)
    igvk_holds_fault(${source} holds)
    if(holds)
      set(held TRUE)
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS IGVK_BREAK_${IGVK_BREAK}=1)
    endif()
  endforeach()
  if(NOT held)
    message(FATAL_ERROR "IGVK_BREAK: no source holds the fault '${IGVK_BREAK}'")
  endif()
endif()
