// RB_CHECK for programming errors: prints what and where, then aborts. Anything a file, flag or machine can break
// returns absl::Status instead.
#ifndef RB_ENGINE_CHECK_H_
#define RB_ENGINE_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define RB_CHECK(condition)                                                              \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

#define RB_CONCAT_INNER(a, b) a##b
#define RB_CONCAT(a, b) RB_CONCAT_INNER(a, b)

// Returns the status of `expression` from the enclosing function unless it is OK.
#define RB_RETURN_IF_ERROR(expression)                                            \
  do {                                                                            \
    if (absl::Status rb_status = (expression); !rb_status.ok()) return rb_status; \
  } while (false)

// RB_ASSIGN_OR_RETURN(auto x, F()): x = the value, or returns F()'s status.
#define RB_ASSIGN_OR_RETURN(declaration, expression) \
  RB_ASSIGN_OR_RETURN_INNER(RB_CONCAT(rb_status_or_, __LINE__), declaration, expression)
#define RB_ASSIGN_OR_RETURN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                      \
  if (!temporary.ok()) return temporary.status();                     \
  declaration = std::move(temporary).value()

#endif  // RB_ENGINE_CHECK_H_
