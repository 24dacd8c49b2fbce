# SPDX-License-Identifier: MIT
# CTest includes this when it starts, so that the tests follow the drivers of the machine as it is then. Each test
# that needs a device is registered once per Vulkan driver with which a device can be opened:
#
#     NAME@DRIVER               as the driver's device is (label `device`)
#     NAME@DRIVER-descriptors   tensors bound by descriptors instead of addresses; first driver only
#     NAME@DRIVER-validation    the same under the Khronos validation layer, which sees hazards and bounds only
#                               through descriptors; first driver only (label `validation`)
#
# The drivers are those that the loader offers: VK_DRIVER_FILES, else the system's folders; and those of
# IGVK_TEST_DRIVERS=FILE.json:FILE.json beside them. Where none is usable each test is registered as skipped.
#
# The file that includes it sets tests_cmake, tests_probe (driver_probe), tests_folder (where they run) and
# tests_environment.
cmake_policy(VERSION 3.22)

# Sets `out` to the manifests (JSON files) that the loader would look at, and those of IGVK_TEST_DRIVERS.
function(drivers_offered out)
  set(places "$ENV{VK_DRIVER_FILES}")
  if(places STREQUAL "")
    set(places "$ENV{VK_ICD_FILENAMES}")
  endif()
  if(places STREQUAL "")
    foreach(root "$ENV{HOME}/.config" /etc/xdg /usr/local/etc /etc "$ENV{HOME}/.local/share" /usr/local/share /usr/share)
      list(APPEND places ${root}/vulkan/icd.d)
    endforeach()
  endif()
  list(JOIN places ":" places)
  string(REPLACE ":" ";" places "${places}:$ENV{VK_ADD_DRIVER_FILES}:$ENV{IGVK_TEST_DRIVERS}")
  set(files)
  foreach(place IN LISTS places)
    if(IS_DIRECTORY "${place}")
      file(GLOB inside "${place}/*.json")
      list(APPEND files ${inside})
    elseif(EXISTS "${place}")
      list(APPEND files "${place}")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES files)
  set(${out} "${files}" PARENT_SCOPE)
endfunction()

# Sets driver_names to the usable ones ("llvmpipe", "radv", "llvmpipe-2"), driver_files to their manifests.
function(drivers_find probe)
  drivers_offered(files)
  set(driver_names)
  set(driver_files)
  foreach(file IN LISTS files)
    execute_process(COMMAND ${tests_cmake} -E env VK_DRIVER_FILES=${file} VK_ICD_FILENAMES=${file} ${probe}
                    OUTPUT_VARIABLE found ERROR_QUIET RESULT_VARIABLE failed TIMEOUT 60)
    # Not at the beginning: a layer that the environment asks for may print lines of its own.
    if(NOT failed AND found MATCHES "driver ([^ ,]+)")
      set(word ${CMAKE_MATCH_1})
      string(TOLOWER "${word}" word)
      set(name ${word})
      set(number 1)
      while(name IN_LIST driver_names)
        math(EXPR number "${number} + 1")
        set(name ${word}-${number})
      endwhile()
      list(APPEND driver_names ${name})
      list(APPEND driver_files ${file})
    endif()
  endforeach()
  set(driver_names "${driver_names}" PARENT_SCOPE)
  set(driver_files "${driver_files}" PARENT_SCOPE)
endfunction()

# Sets validation_environment for the layer's version. Its settings were renamed: with old ones beside them it passes
# over the new. Without the heuristic, accesses through descriptors are not looked at (older layers always look). It
# reports to stdout, where CTest reads it.
set(validation_layer VK_LAYER_KHRONOS_validation)
function(validation_settings version)
  set(settings VK_INSTANCE_LAYERS=${validation_layer} VK_LAYER_LOG_FILENAME=stdout)
  if(version VERSION_LESS 1.3.290)
    list(APPEND settings VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT)
  else()
    list(APPEND settings VK_LAYER_VALIDATE_SYNC=1 VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC=1)
  endif()
  set(validation_environment "${settings}" PARENT_SCOPE)
endfunction()

function(device_test_add name label environment)
  add_test(${name} ${ARGN})
  # 77: the test found that it cannot run here, and said why.
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 4800 SKIP_RETURN_CODE 77
                       WORKING_DIRECTORY ${tests_folder} ENVIRONMENT "${environment}")
  if(label STREQUAL validation)
    set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION "Validation Error|Validation Warning|SYNC-HAZARD")
  endif()
endfunction()

# device_test(NAME LABEL "descriptors validation" COMMAND...): the second argument names the further forms it is
# registered in.
function(device_test name label forms)
  if(NOT driver_names)
    device_test_add(${name} "${label}" "${tests_environment}" ${tests_probe})
    return()
  endif()
  foreach(driver file IN ZIP_LISTS driver_names driver_files)
    set(environment ${tests_environment} VK_DRIVER_FILES=${file} VK_ICD_FILENAMES=${file})
    device_test_add(${name}@${driver} "${label}" "${environment}" ${ARGN})
  endforeach()
  list(GET driver_names 0 driver)
  list(GET driver_files 0 file)
  set(environment ${tests_environment} VK_DRIVER_FILES=${file} VK_ICD_FILENAMES=${file} IGVK_TEST_NO_ADDRESS=1)
  if(forms MATCHES descriptors)
    device_test_add(${name}@${driver}-descriptors "${label}" "${environment}" ${ARGN})
  endif()
  if(forms MATCHES validation AND validation_offered)
    device_test_add(${name}@${driver}-validation validation "${environment};${validation_environment}" ${ARGN})
  endif()
endfunction()

if(NOT EXISTS ${tests_probe})
  add_test(not_built ${tests_cmake} -E echo "The tests are not built: ${tests_probe} is missing")
  set_tests_properties(not_built PROPERTIES FAIL_REGULAR_EXPRESSION "not built")
  return()
endif()
drivers_find(${tests_probe})
execute_process(COMMAND ${tests_probe} --layer ${validation_layer} OUTPUT_VARIABLE found ERROR_QUIET)
if(driver_names AND found MATCHES "layer ${validation_layer} ([0-9.]+)")
  set(validation_offered TRUE)
  validation_settings(${CMAKE_MATCH_1})
else()
  set(validation_offered FALSE)
  # One test that says why there are no others of this label.
  device_test_add(validation validation "${tests_environment}" ${tests_probe} --layer ${validation_layer})
endif()
