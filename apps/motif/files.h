// What the motif commands share: formats, motif files as arguments, and the reading of k-mer tables.
#ifndef RB_APPS_MOTIF_FILES_H_
#define RB_APPS_MOTIF_FILES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gia/alignment_motif.h"
#include "gia/motif_io.h"

namespace rb::apps {

// --format, or when that is empty what the file's extension says. A usage error when neither tells.
absl::StatusOr<MotifFormat> ChooseMotifFormat(const std::string& format, const std::string& path);

// Makes the folder and writes; complaints about the motifs name `source`, where they came from.
absl::Status WriteMotifFile(const std::string& path, const std::vector<MotifRecord>& motifs, MotifFormat format,
                            bool dna, const std::string& source);

// The motif behind FILE or FILE:NAME. A file that exists is taken as a whole, whatever colons its name has; then it
// must hold one motif.
absl::StatusOr<MotifRecord> ReadOneMotif(const std::string& argument);

// k-mers and their effects from a table as scan writes it: columns kmer, effect and se (others are ignored); k-mers of
// one length, each once; finite effects.
absl::StatusOr<std::vector<WeightedSequence>> ReadKmerTable(const std::string& path);

// One letter a column [Cavener 1987, Nucleic Acids Research 15:1353]: a base with more than half and more than twice
// the next; or else the IUPAC letter of two with more than three quarters together; or else N.
std::string Consensus(const Pwm& pwm);

}  // namespace rb::apps

#endif  // RB_APPS_MOTIF_FILES_H_
