private import Bytes
package import JournalFormat

/// A batch in the making: records and the contents that they refer to.
package struct Batch {
    private var head = [UInt8](repeating: 0, count: BatchHeader.size)
    private var contents: [UInt8] = []
    /// Where each inline content begins in ``contents``, with the place in the head where its check goes once the salt is known.
    private var inline: [(checkAt: Int, range: Range<Int>, isDamaged: Bool)] = []

    package init() {}

    package var headLength: Int { head.count }
    package var contentLength: Int { contents.count }
    package var length: Int { head.count + contents.count }
    package var isEmpty: Bool { head.count == BatchHeader.size }

    package mutating func append(_ record: JournalRecord) { record.encode(into: &head) }

    /// Appends a message whose content goes into the batch. The record's own reference is ignored.
    ///
    /// - Parameter isDamaged: the content did not check when it was read; it is kept, and must not check now either.
    /// - Returns: the content's offset among the contents of the batch.
    package mutating func append(_ message: MessageRecord, carried: Bool, content: [UInt8], isDamaged: Bool = false) -> Int {
        var message = message
        let start = contents.count
        message.content = .inline(segment: 0, offset: UInt32(start), length: UInt32(content.count), check: 0)
        let record = head.count
        append(carried ? .carry(message) : .accept(message))
        contents.append(contentsOf: content)
        inline.append((record + MessageRecord.inlineCheckOffset, start..<contents.count, isDamaged))
        return start
    }

    /// Checks filled in, header in front, padded to a block boundary.
    mutating func sealed(_ header: BatchHeader, salt: Salt) -> [UInt8] {
        for part in inline {
            var check = salt.check
            contents.withUnsafeBytes { check.update(UnsafeRawBufferPointer(rebasing: $0[part.range])) }
            head.overwrite(number: part.isDamaged ? ~check.value : check.value, at: part.checkAt)
        }
        header.seal(&head, salt: salt)
        var bytes = head
        bytes.reserveCapacity(header.totalLength)
        bytes.append(contentsOf: contents)
        bytes.append(contentsOf: repeatElement(0, count: header.totalLength - bytes.count))
        return bytes
    }

    /// The checks of the contents in the order they were appended; known once written.
    package func contentChecks() -> [UInt32] {
        inline.map { part in
            var reader = ByteReader(head[part.checkAt...])
            return reader.number(UInt32.self) ?? 0
        }
    }
}
