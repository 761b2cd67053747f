# The program contains the address sanitizer.
execute_process(COMMAND "${NM}" "${PROGRAM}" OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
if(NOT symbols MATCHES "__asan_init")
    message(FATAL_ERROR "${PROGRAM} is not instrumented")
endif()
