# SPDX-License-Identifier: MIT
# shaders/NAME.comp -> SPIR-V in both forms of binding (shaders/include/tensor.glsl), checked, embedded as words.
#
# Among its first lines a shader may say
#     // variants: NAME1=-DX=1 -DY=2; NAME2=-DX=2     compiled once a variant, under these names
#     // operands: f32_f16 f16_f16                     each variant NAME again as NAME_f32_f16, with -DA_TYPE=f32
#                                                      -DB_TYPE=f16 -DSTORAGE_16BIT=1
#     // needs: EXTENSION                              left out where cmake/probes/EXTENSION.comp does not compile
# No optimisation here: spirv-opt unrolls what the drivers unroll better, for a minute a shader.

if(GLSLC)
  set(shader_compiler ${GLSLC} -O0 --target-env=vulkan1.2 -fshader-stage=compute)
else()
  set(shader_compiler ${GLSLANG_VALIDATOR} -V -S comp --quiet --target-env vulkan1.2)
endif()
# For `igvk info`.
list(GET shader_compiler 0 shader_compiler_program)
execute_process(COMMAND ${shader_compiler_program} --version OUTPUT_VARIABLE shader_compiler_version
                OUTPUT_STRIP_TRAILING_WHITESPACE)
string(REGEX REPLACE "\n.*" "" shader_compiler_version "${shader_compiler_version}")

# What this compiler can do: one entry a probe, also in the C table for `igvk info`.
set(probe_rows "")
file(GLOB probes CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/probes/*.comp)
foreach(probe IN LISTS probes)
  get_filename_component(name ${probe} NAME_WE)
  if(NOT DEFINED CACHE{IGVK_PROBE_${name}})
    execute_process(COMMAND ${shader_compiler} -o ${CMAKE_BINARY_DIR}/probe.spv ${probe}
                    RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    if(failed)
      set(IGVK_PROBE_${name} OFF CACHE BOOL "The shader compiler knows ${name}")
    else()
      set(IGVK_PROBE_${name} ON CACHE BOOL "The shader compiler knows ${name}")
    endif()
  endif()
  if(IGVK_PROBE_${name})
    string(APPEND probe_rows "    {\"${name}\", true},\n")
  else()
    message(STATUS "Shader compiler: no ${name}; shaders that need it are left out")
    string(APPEND probe_rows "    {\"${name}\", false},\n")
  endif()
endforeach()

# One form of one variant: SPIR-V, check, words. Appends the file of words to the caller's `words_files`.
function(igvk_compile_shader source name address flags)
  set(folder ${CMAKE_BINARY_DIR}/shaders)
  set(spirv ${folder}/${name}.${address}.spv)
  set(words ${folder}/${name}.${address}.inc)
  if(GLSLC)
    set(depfile_flags -MD -MF ${spirv}.d -MT ${spirv})
  else()
    set(depfile_flags --depfile ${spirv}.d)
  endif()
  add_custom_command(
    OUTPUT ${spirv}
    COMMAND ${shader_compiler} -DIGVK_ADDRESS=${address} ${flags} -I${CMAKE_SOURCE_DIR}/shaders
            -I${CMAKE_SOURCE_DIR}/shaders/include ${depfile_flags} -o ${spirv} ${source}
    COMMAND ${SPIRV_VAL} --target-env vulkan1.2 ${spirv}
    DEPENDS ${source} DEPFILE ${spirv}.d VERBATIM COMMENT "Shader ${name} (address ${address})")
  add_custom_command(
    OUTPUT ${words}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${spirv} -DOUTPUT=${words} -P ${CMAKE_SOURCE_DIR}/cmake/EmbedWords.cmake
    DEPENDS ${spirv} ${CMAKE_SOURCE_DIR}/cmake/EmbedWords.cmake VERBATIM)
  set(words_files ${words_files} ${words} PARENT_SCOPE)
endfunction()

# glslangValidator wants the extension named that lets a shader include; glslc does not. Sets `source` to a copy
# that names it (configuring runs again where the original changes).
function(igvk_allow_includes source)
  get_filename_component(name ${source} NAME)
  file(READ ${source} text)
  string(REGEX REPLACE "(#version [0-9]+)[^\n]*\n" "\\1\n#extension GL_GOOGLE_include_directive : require\n"
         text "${text}")
  file(CONFIGURE OUTPUT shaders/${name} CONTENT "${text}" @ONLY)
  set(source ${CMAKE_BINARY_DIR}/shaders/${name} PARENT_SCOPE)
endfunction()

# `variants` and, for each pair A_B of `operands`, all of them again.
function(igvk_add_operands operands)
  set(all "${variants}")
  foreach(pair IN LISTS operands)
    string(REPLACE "_" ";" types "${pair}")
    list(GET types 0 a)
    list(GET types 1 b)
    foreach(variant IN LISTS variants)
      string(STRIP "${variant}" variant)
      string(REGEX MATCH "^([^=]+)=(.*)$" matched "${variant}")
      list(APPEND all "${CMAKE_MATCH_1}_${pair}=-DA_TYPE=${a} -DB_TYPE=${b} -DSTORAGE_16BIT=1 ${CMAKE_MATCH_2}")
    endforeach()
  endforeach()
  set(variants "${all}" PARENT_SCOPE)
endfunction()

# Reads these lines of a shader: `variants`, a list of NAME=FLAGS, and `wanted`.
function(igvk_read_shader source)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  get_filename_component(name ${source} NAME_WE)
  file(STRINGS ${source} lines LIMIT_COUNT 12)
  set(variants "${name}=")
  set(wanted TRUE)
  foreach(line IN LISTS lines)
    if(line MATCHES "^// needs: *([a-z0-9_]+) *$" AND NOT IGVK_PROBE_${CMAKE_MATCH_1})
      set(wanted FALSE)
    endif()
  endforeach()
  # Read whole: a list would be split at the line's own semicolons.
  file(READ ${source} text LIMIT 4096)
  if(text MATCHES "\n?// variants: *([^\n]+)\n")
    set(variants "${CMAKE_MATCH_1}")
  endif()
  if(text MATCHES "\n// operands: *([^\n]+)\n")
    string(REPLACE " " ";" operands "${CMAKE_MATCH_1}")
    igvk_add_operands("${operands}")
  endif()
  set(variants "${variants}" PARENT_SCOPE)
  set(wanted ${wanted} PARENT_SCOPE)
endfunction()

# Sets `out` to the C sources that hold the table (src/vulkan/shaders.h).
function(igvk_embed_shaders out)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/shaders)
  set(names)
  set(words_files)
  foreach(source IN LISTS ARGN)
    igvk_read_shader(${source})
    igvk_holds_fault(${source} holds_fault)
    if(NOT GLSLC)
      igvk_allow_includes(${source})
    endif()
    if(wanted)
      foreach(variant IN LISTS variants)
        string(STRIP "${variant}" variant)
        string(REGEX MATCH "^([^=]+)=(.*)$" matched "${variant}")
        set(name ${CMAKE_MATCH_1})
        separate_arguments(flags UNIX_COMMAND "${CMAKE_MATCH_2}")
        if(holds_fault)
          list(APPEND flags -DIGVK_BREAK_${IGVK_BREAK}=1)
        endif()
        if(name IN_LIST names)
          message(FATAL_ERROR "${source}: a shader or variant named '${name}' exists already")
        endif()
        list(APPEND names ${name})
        igvk_compile_shader(${source} ${name} 0 "${flags}")
        igvk_compile_shader(${source} ${name} 1 "${flags}")
      endforeach()
    endif()
  endforeach()
  igvk_shader_table("${names}")
  set_source_files_properties(${CMAKE_BINARY_DIR}/generated/shader_table.c PROPERTIES OBJECT_DEPENDS "${words_files}")
  set(${out} ${CMAKE_BINARY_DIR}/generated/shader_table.c PARENT_SCOPE)
endfunction()

# Writes the table's source: sorted by name in byte order, the descriptor form before the address form.
function(igvk_shader_table names)
  list(SORT names COMPARE STRING)
  set(words_arrays "")
  set(shader_rows "")
  foreach(name IN LISTS names)
    foreach(address 0 1)
      string(APPEND words_arrays "static const uint32_t ${name}_${address}[] = {\n"
                                 "#include \"../shaders/${name}.${address}.inc\"\n};\n")
      string(APPEND shader_rows "    {\"${name}\", ${address}, ${name}_${address}, sizeof ${name}_${address}},\n")
    endforeach()
  endforeach()
  list(LENGTH names count)
  math(EXPR shader_count "2 * ${count}")
  list(LENGTH probes probe_count)
  configure_file(${CMAKE_SOURCE_DIR}/cmake/shader_table.c.in ${CMAKE_BINARY_DIR}/generated/shader_table.c @ONLY)
endfunction()
