package import JournalFormat

/// How large the parts of a message may be, so that each batch fits a segment (docs/queue.md, "The argument").
extension Journal.Parameters {
    /// A content larger than this goes to a file of its own: with the largest envelope, too, the rest fits a segment.
    package var maxInlineBytes: Int { min(1 << 20, segmentSize / 8) }

    /// Envelopes larger than this do not fit the log.
    package var maxEnvelopeBytes: Int { segmentSize / 4 * 3 }

    /// Texts of failures that one message may keep in full, and then cut, for its bounce; a list of a million dead addresses must stay bearable.
    private var fullTextBytes: Int { min(1 << 20, segmentSize / 16) }
    private static let cutTextBytes = 80

    /// As much of a report as is kept for the bounce.
    /// - Parameter kept: bytes that the message has of other reports.
    package func textToKeep(_ text: ArraySlice<UInt8>, kept: Int) -> ArraySlice<UInt8> {
        if kept < fullTextBytes { return text }
        return kept < 2 * fullTextBytes ? text.prefix(Self.cutTextBytes) : []
    }

    /// Records in entries that fit any segment beside others, in their order. A text alone always fits.
    package func entries(of records: [JournalRecord]) -> [[JournalRecord]] {
        var entries: [[JournalRecord]] = []
        var room = 0
        for record in records {
            let bytes = record.roomInBatch
            if entries.isEmpty || bytes > room {
                entries.append([])
                room = maxInlineBytes
            }
            entries[entries.count - 1].append(record)
            room = max(0, room - bytes)
        }
        return entries
    }
}

extension JournalRecord {
    /// About what an outcome, or another of an existing message, adds to a batch, bytes; never too little.
    var roomInBatch: Int {
        switch self {
        case .outcome(_, _, _, let text): 32 + text.count
        case .reroute(_, _, let route): 32 + route.address.count + route.note.count
        default: 32
        }
    }
}
