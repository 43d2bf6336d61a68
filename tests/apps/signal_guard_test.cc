// What signals do while a SignalGuard lives, and afterwards: each case in a process of its own.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "apps/train/progress.h"
#include "tests/support/comparisons.h"

namespace rb::apps {
namespace {

using test::ExpectEqual;

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGUSR1};

// How a process ends that calls `f`: its exit code, or 128 + the signal that killed it.
int EndOf(const std::function<int()>& f) {
  const pid_t child = fork();
  if (child == 0) {
    for (const int signal : kSignals) ::signal(signal, SIG_DFL);  // whatever this test was started with
    _exit(f());
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(SignalGuard, TheFirstIsRememberedAnySecondEnds) {
  for (const int first : kSignals) {
    ExpectEqual(EndOf([&] {
                  const SignalGuard guard;
                  raise(first);
                  return SignalGuard::Number() == first && SignalGuard::Received() != nullptr ? 7 : 8;
                }),
                7, "one signal");
    for (const int second : kSignals) {
      ExpectEqual(EndOf([&] {
                    const SignalGuard guard;
                    raise(first);
                    raise(second);
                    return 7;
                  }),
                  128 + second, std::to_string(first) + ", then " + std::to_string(second));
    }
  }
}

TEST(SignalGuard, IgnoredSignalsStayIgnored) {
  for (const int ignored : kSignals) {
    ExpectEqual(EndOf([&] {
                  ::signal(ignored, SIG_IGN);
                  {
                    const SignalGuard guard;
                    raise(ignored);
                    if (SignalGuard::Number() != 0) return 8;
                    raise(ignored == SIGTERM ? SIGINT : SIGTERM);  // another one is still heard
                    raise(ignored);
                    if (SignalGuard::Number() == 0) return 9;
                  }
                  raise(ignored);
                  return 7;
                }),
                7, std::to_string(ignored));
  }
}

TEST(SignalGuard, PutsBackWhatWasThere) {
  ExpectEqual(EndOf([] {
                ::signal(SIGUSR1, [](int) { _exit(11); });
                { const SignalGuard guard; }
                raise(SIGUSR1);
                return 7;
              }),
              11, "the handler from before");
  ExpectEqual(EndOf([] {
                { const SignalGuard guard; }
                raise(SIGTERM);
                return 7;
              }),
              128 + SIGTERM, "the usual end");
}

}  // namespace
}  // namespace rb::apps
