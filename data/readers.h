// Readers. Text may be plain, .gz or .xz (told by content, not name); T reads as U, lower case is accepted, N is
// unknown. Nothing is half-read.
//
// Errors are InvalidArgument, one line "FILE:LINE:COLUMN: found X; expected Y"; lines and columns count from 1 in the
// decompressed text, a column is a byte's. In HDF5 the place is "FILE:/ARRAY[row, ..]". NotFound for a file or an
// experiment that is not there.
#ifndef RB_DATA_READERS_H_
#define RB_DATA_READERS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "kernels/parallel.h"

namespace rb {

struct ReadOptions {
  int length = 41;  // L; a probe longer than this is an error for training tables; HDF5 arrays must have this length
  // Load only these, in this order (all when empty); an unknown name is NotFound and lists near ones. Columns of a
  // table that are not asked for are neither stored nor checked.
  std::vector<std::string> experiments;
  bool dna_alphabet = false;  // only changes messages; T and U are one letter either way
};

// Whatever `path` is: a folder with sequences.tsv[.gz|.xz] and targets.tsv[.gz|.xz]; an HDF5 file; a 2009 per-protein
// table (columns set, design, score, sequence); one table of all experiments with the sequences in it
// (data/wide_table_reader.h); or "score sequence" lines. All but folders and HDF5 also from "-" (stdin).
absl::StatusOr<Dataset> ReadDataset(const std::string& path, const ReadOptions& options, Parallel& parallel);

// sequences.tsv: columns "Fold ID" (or fold, set; A or B), seq (or sequence) and optionally id. targets.tsv: one column
// an experiment; a cell is a finite number, or nothing, NA or nan. Rows of both are aligned; an experiment needs at
// least one value. Peak memory beyond the result: two blocks of 2 MiB and the archive's dictionary.
absl::StatusOr<Dataset> ReadTables(const std::string& sequences_path, const std::string& targets_path,
                                   const ReadOptions& options, Parallel& parallel);

// Tab-separated columns set, score, sequence and optionally design (which is not kept), in any order. The experiment
// takes the file's name without its extensions: RBM4_weak_only of RBM4_weak_only.tsv.xz.
absl::StatusOr<Dataset> ReadProteinTable(const std::string& path, const ReadOptions& options);

// "score sequence" lines, separated by blanks, without a header; empty lines are skipped. All rows are in set A: with
// no set B, MakeSplit (split.h) draws a tenth for validation and another for test. Named after the file.
absl::StatusOr<Dataset> ReadScoreLines(const std::string& path, const ReadOptions& options);

// The authors' layout: X_train, Y_train, X_valid, Y_valid, X_test, Y_test and, optionally, experiment (names), at the
// root or once in a group for each protein. X is (n, 4 + S, L), channels first, of any float or integer type, one-hot
// or all zeros at each position; S is 0, 2 or 5. Y is (n, E), NaN = missing. Rows keep the file's order (train, valid,
// test); the probes of several groups follow each other, and a protein has NaN for the others' probes. `transformed` is
// true unless the file's attribute of that name (which WriteHdf5 writes) is 0. HDF5 must not be used by another thread
// meanwhile.
absl::StatusOr<Dataset> ReadHdf5(const std::string& path, const ReadOptions& options);

// Sequences to score: FASTA, TSV with a `seq` or `sequence` column (optional `id`), or one sequence a line; "-" is
// stdin. Lengths are free here (predict slides windows); duplicate ids are errors, other columns are ignored.
struct NamedSequence {
  std::string id;     // FASTA name up to the first blank, TSV id, or "seq1", "seq2", ..
  std::string bases;  // A C G U N, upper case
};
absl::StatusOr<std::vector<NamedSequence>> ReadSequences(const std::string& path);

// `bases` (A C G U N) centred in `length` positions, left padding floor((length - n) / 2), into
// words[PackedWords(length)].
void PackCentred(const std::string& bases, int length, uint32_t* words);

}  // namespace rb

#endif  // RB_DATA_READERS_H_
