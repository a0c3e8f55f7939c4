# What can be said of the source text alone.
foreach(check includes format shell)
	add_test(NAME style/${check} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/style/${check} ${CMAKE_SOURCE_DIR})
	set_tests_properties(style/${check} PROPERTIES LABELS style SKIP_RETURN_CODE 77)
endforeach()
add_test(NAME style/tidy COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/style/tidy ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
set_tests_properties(style/tidy PROPERTIES LABELS style SKIP_RETURN_CODE 77 TIMEOUT 1800 PROCESSORS 2)
