#include "data/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "data/text.h"

namespace rb {
namespace {

constexpr unsigned kSeconds = 60;  // of a child that damage leads round in circles

absl::Status NoChild(const char* what) {
  return absl::ResourceExhaustedError(
      Concat(what, " failed (", std::strerror(errno), "); expected room for another process"));
}

// A crash must end the child as the system does it: no handler of a sanitizer or a caller, no text, no core dump.
void ExpectToCrash() {
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGALRM, SIGPIPE}) {
    std::signal(signal, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_DUMPABLE, 0);
  alarm(kSeconds);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) ::dup2(nowhere, STDERR_FILENO);
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno != EINTR) return false;
    if (wrote > 0) bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return true;
}

// Says how much will come, then all of it. Never returns: nothing of the parent's is flushed, closed or destroyed.
[[noreturn]] void RunChild(int fd, const std::function<std::string()>& make) {
  ExpectToCrash();
  bool told = false;
  try {
    const std::string made = make();
    const uint64_t size = made.size();
    told = WriteAll(fd, {reinterpret_cast<const char*>(&size), sizeof size}) && WriteAll(fd, made);
  } catch (...) {  // told is false
  }
  ::_exit(told ? 0 : 1);
}

// Up to `size` bytes; fewer at the end.
size_t ReadAll(int fd, char* out, size_t size) {
  size_t got = 0;
  while (got < size) {
    const ssize_t more = ::read(fd, out + got, size - got);
    if (more == 0 || (more < 0 && errno != EINTR)) break;
    if (more > 0) got += static_cast<size_t>(more);
  }
  return got;
}

// The child's words, if they are whole.
bool Listen(int fd, size_t most, std::string* out) {
  uint64_t size = 0;
  if (ReadAll(fd, reinterpret_cast<char*>(&size), sizeof size) != sizeof size || size > most) return false;
  out->resize(size);
  return ReadAll(fd, out->data(), size) == size;
}

}  // namespace

absl::StatusOr<std::string> MadeInChild(size_t most, const std::function<std::string()>& make) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return NoChild("a pipe to another process");
  const pid_t child = ::fork();
  if (child == 0) RunChild(ends[1], make);
  const int error = errno;
  ::close(ends[1]);
  if (child < 0) {
    ::close(ends[0]);
    errno = error;
    return NoChild("starting another process");
  }
  std::string made;
  const bool whole = Listen(ends[0], most, &made);
  ::close(ends[0]);
  if (!whole) ::kill(child, SIGKILL);  // it may have more to say than is wanted
  // Whether it was whole is known already: where SIGCHLD is ignored there is no status to wait for.
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!whole) return absl::DataLossError("the child process ended too early");
  return made;
}

}  // namespace rb
