// A page of HTML that needs nothing from elsewhere: escaping, the document around a body, its style and script.
#ifndef RB_APPS_REPORT_PAGE_H_
#define RB_APPS_REPORT_PAGE_H_

#include <string>
#include <string_view>

namespace rb::apps {

// Text fit for an element or a quoted attribute: & < > " ' are references, broken UTF-8 is U+FFFD, control characters
// are blanks.
std::string Html(std::string_view text);

// A value with its decimals and a true minus sign; a dash when it is not finite.
std::string HtmlNumber(double value, int decimals);

// The whole document. `title` is plain text, `body` HTML. A Content-Security-Policy names the SHA-256 of the style and
// of the script and forbids all else, so that nothing can be loaded and nothing else can run.
std::string HtmlPage(std::string_view title, std::string_view body);

extern const char kReportStyle[];   // apps/report/style.cc
extern const char kReportScript[];  // apps/report/script.cc

}  // namespace rb::apps

#endif  // RB_APPS_REPORT_PAGE_H_
