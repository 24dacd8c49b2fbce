# SPDX-License-Identifier: MIT
# The manual page and the shells' completion: the program prints them from its own tables.
if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
  message(STATUS "Cross-compiling: no manual page and no completion, which the program itself would print")
  return()
endif()

set(documents)
function(igvk_document file destination)
  set(document ${CMAKE_BINARY_DIR}/documents/${file})
  add_custom_command(OUTPUT ${document} COMMAND igvk ${ARGN} > ${document} DEPENDS igvk VERBATIM)
  install(FILES ${document} DESTINATION ${destination})
  set(documents ${documents} ${document} PARENT_SCOPE)
endfunction()

file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/documents/bash)
igvk_document(igvk.1 ${CMAKE_INSTALL_MANDIR}/man1 help --man)
igvk_document(bash/igvk ${CMAKE_INSTALL_DATADIR}/bash-completion/completions completion bash)
igvk_document(_igvk ${CMAKE_INSTALL_DATADIR}/zsh/site-functions completion zsh)
igvk_document(igvk.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d completion fish)
add_custom_target(documents ALL DEPENDS ${documents})
