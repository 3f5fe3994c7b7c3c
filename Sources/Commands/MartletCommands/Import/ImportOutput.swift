private import Glibc
internal import QmailImport

/// Shows an import: a line for each finding, and a summary; progress on a terminal alone.
struct ImportOutput {
    let isJSON: Bool
    let isDryRun: Bool

    func report() -> ImportReport {
        let (isQuiet, isTerminal) = (isJSON, isatty(STDERR_FILENO) == 1)
        return ImportReport(
            show: { finding in
                guard !isQuiet else { return }
                if isTerminal { ImportOutput.write("\r\u{1B}[K", to: STDERR_FILENO) }
                ImportOutput.write("\(finding.subject): \(ImportOutput.mark(finding.kind))\(finding.text)\n", to: STDOUT_FILENO)
            },
            progress: { done, total in
                if isTerminal { ImportOutput.write("\r\(done) of \(total) messages\(done == total ? "\n" : "")", to: STDERR_FILENO) }
            })
    }

    private static func mark(_ kind: ImportReport.Finding.Kind) -> String { kind == .note ? "" : "\(kind.rawValue): " }

    func end(_ report: ImportReport, _ refusal: String?) {
        if isJSON { return ImportOutput.write(ImportOutput.json(report, refusal, isDryRun: isDryRun) + "\n", to: STDOUT_FILENO) }
        if refusal == nil || report.counts != ImportReport.Counts() { summary(report.counts) }
        if let refusal { ImportOutput.write("martlet: \(refusal)\n", to: STDERR_FILENO) }
    }

    private func summary(_ counts: ImportReport.Counts) {
        let would = isDryRun ? "would be " : ""
        let lines = [
            "files: \(counts.copied) \(would)copied, \(counts.same) the same, \(counts.kept) differ and stay, \(counts.left) left where they are",
            "queue: \(counts.imported) messages (\(counts.bytes) bytes) \(would)imported, \(counts.importedBefore) imported before, "
                + "\(counts.skipped) skipped, \(counts.damaged) damaged",
            "recipients: \(counts.waitingLocal) wait local, \(counts.waitingRemote) wait remote, \(counts.unrouted) were not routed yet, "
                + "\(counts.done) done, \(counts.failed) to be bounced",
        ]
        for line in lines { ImportOutput.write(line + "\n", to: STDOUT_FILENO) }
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
                guard count > 0 else { return }
                done += count
            }
        }
    }
}

// MARK: JSON

extension ImportOutput {
    static func json(_ report: ImportReport, _ refusal: String?, isDryRun: Bool) -> String {
        let counts = report.counts
        let numbers: [(String, Int)] = [
            ("imported", counts.imported), ("importedBefore", counts.importedBefore), ("skipped", counts.skipped), ("damaged", counts.damaged),
            ("bytes", counts.bytes), ("waitingLocal", counts.waitingLocal), ("waitingRemote", counts.waitingRemote), ("unrouted", counts.unrouted),
            ("done", counts.done), ("failed", counts.failed), ("filesCopied", counts.copied), ("filesSame", counts.same),
            ("filesKept", counts.kept), ("filesLeft", counts.left),
        ]
        let findings = report.findings.map { finding in
            "{\"kind\":\(JSON.quoted(finding.kind.rawValue)),\"subject\":\(JSON.quoted(finding.subject)),\"text\":\(JSON.quoted(finding.text))}"
        }
        let members =
            ["\"dryRun\":\(isDryRun)", "\"complete\":\(refusal == nil && report.isComplete)"] + numbers.map { "\(JSON.quoted($0.0)):\($0.1)" }
            + ["\"findings\":[\(findings.joined(separator: ","))]", "\"refused\":\(refusal.map(JSON.quoted) ?? "null")"]
        return "{\(members.joined(separator: ","))}"
    }
}
