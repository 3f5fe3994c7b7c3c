private import Bytes

/// `bounce/ID`: what failed recipients were told so far (qmail §8.3). A paragraph is `<RECIPIENT>:`, the text, an empty line; no line within a text
/// is empty. qmail does not make this file safe against crashes: any bytes may come, and all are kept.
package struct BounceFile: Equatable, Sendable {
    package struct Paragraph: Equatable, Sendable {
        /// Without the prepend of a virtual domain.
        package let recipient: [UInt8]
        /// LF between lines, and at the end unless the file was cut off.
        package fileprivate(set) var text: [UInt8]

        package init(recipient: [UInt8], text: [UInt8]) {
            self.recipient = recipient
            self.text = text
        }
    }

    package private(set) var paragraphs: [Paragraph] = []
    /// What stands in front of the first paragraph; nothing in a file of qmail's.
    package private(set) var strayText: [UInt8] = []

    package init(_ bytes: [UInt8]) {
        var start = 0
        while start < bytes.count {
            guard bytes[start] != ASCII.lf else {
                start += 1
                continue
            }
            let end = BounceFile.endOfBlock(bytes, start)
            add(bytes[start..<end])
            start = end
        }
    }

    /// Behind the last line before an empty one.
    private static func endOfBlock(_ bytes: [UInt8], _ start: Int) -> Int {
        var index = start
        while index < bytes.count {
            guard let lf = bytes[index...].firstIndex(of: ASCII.lf) else { return bytes.count }
            index = lf + 1
            if index < bytes.count, bytes[index] == ASCII.lf { return index }
        }
        return bytes.count
    }

    /// A block that names no recipient belongs to the text before it.
    private mutating func add(_ block: ArraySlice<UInt8>) {
        let line = block.prefix { $0 != ASCII.lf }
        if line.count >= 3, line.first == ASCII.less, line.suffix(2).elementsEqual([ASCII.greater, ASCII.colon]) {
            paragraphs.append(Paragraph(recipient: Array(line.dropFirst().dropLast(2)), text: Array(block.dropFirst(line.count + 1))))
        } else if let last = paragraphs.indices.last {
            paragraphs[last].text += [ASCII.lf] + block
        } else {
            strayText += block
        }
    }
}
