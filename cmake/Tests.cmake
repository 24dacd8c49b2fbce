# SPDX-License-Identifier: MIT
# tests/FLOOR/test_NAME.c -> the test FLOOR/NAME, an executable of its own. Labels: `unit` needs no device, `device`
# takes the one that the loader offers (IGVK_DEVICE picks). A test links its floor and those before it (`ops` the
# device as well, since its kernels run there). tests/FLOOR/helpers*.c go into every test of the floor,
# tests/helpers into those that call them.

set(test_environment "XDG_CACHE_HOME=${CMAKE_BINARY_DIR}/cache")
set(sanitize_sources)
if(IGVK_SANITIZE)
  set(sanitize_sources tests/sanitize/keep_loaded.c)
  # GCC 12's leak checker crashes on the thread-local storage of SwiftShader that it tracks.
  list(APPEND test_environment "ASAN_OPTIONS=intercept_tls_get_addr=0")
  list(APPEND test_environment
       "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/sanitize/leaks.supp:print_suppressions=0")
endif()

set(unit_floors core formats graph models data cli)

file(GLOB helper_sources CONFIGURE_DEPENDS tests/helpers/*.c)
if(helper_sources AND "vulkan" IN_LIST IGVK_FLOORS)
  add_library(test_helpers STATIC ${helper_sources})
  target_link_libraries(test_helpers PUBLIC floor_vulkan)
  target_include_directories(test_helpers PRIVATE tests ${CMOCKA_HEADERS})
endif()

function(igvk_add_test floor source)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "^test_" "" name ${name})
  set(target test_${floor}_${name})
  file(GLOB floor_helpers CONFIGURE_DEPENDS tests/${floor}/helpers*.c)
  add_executable(${target} ${source} ${floor_helpers} ${sanitize_sources})
  target_include_directories(${target} PRIVATE tests ${CMOCKA_HEADERS})
  target_compile_definitions(${target} PRIVATE IGVK_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                               IGVK_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set(label unit)
  set(libraries floor_${floor})
  if(floor STREQUAL cli)
    set(libraries program_parts)
  endif()
  if(NOT floor IN_LIST unit_floors)
    set(label device)
    if(TARGET test_helpers)
      set(libraries test_helpers floor_${floor} floor_vulkan)
    endif()
  endif()
  target_link_libraries(${target} PRIVATE ${libraries} ${CMOCKA_LIBRARY})
  if(IGVK_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,--export-dynamic-symbol=dlclose)
  endif()
  add_test(NAME ${floor}/${name} COMMAND ${target} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
  # 77: the test found that it cannot run here, and said why.
  set_tests_properties(${floor}/${name} PROPERTIES LABELS ${label} TIMEOUT 300 SKIP_RETURN_CODE 77
                       ENVIRONMENT "${test_environment}")
endfunction()

foreach(floor IN LISTS IGVK_FLOORS)
  file(GLOB test_sources CONFIGURE_DEPENDS tests/${floor}/test_*.c)
  foreach(source IN LISTS test_sources)
    igvk_add_test(${floor} ${source})
  endforeach()
endforeach()

# tests/test_NAME.sh and tests/cli/test_NAME.sh: shell scripts that get the source folder and, those of cli, the program.
find_program(BASH bash)
file(GLOB script_sources CONFIGURE_DEPENDS tests/test_*.sh tests/cli/test_*.sh)
foreach(source IN LISTS script_sources)
  file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/tests ${source})
  string(REGEX REPLACE "test_(.*)\\.sh$" "\\1" name ${name})
  if(BASH AND (TARGET igvk OR NOT name MATCHES "^cli/"))
    add_test(NAME ${name} COMMAND ${BASH} ${source} ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/igvk)
    set(label unit)
    if(name STREQUAL cli/examples)
      set(label device)
    endif()
    set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 600 SKIP_RETURN_CODE 77
                         ENVIRONMENT "${test_environment}")
  endif()
endforeach()
