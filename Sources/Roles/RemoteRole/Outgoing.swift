private import Addresses
internal import SMTPClient

/// An errand on the event loop: how far its content has been looked at, then sent.
final class Outgoing {
    let errand: Errand
    private(set) var transaction: MailTransaction
    private var offset = 0
    private(set) var isSurveyed = false
    /// A small message is read once and kept.
    private var whole: [UInt8]?

    init(_ errand: Errand) {
        self.errand = errand
        transaction = MailTransaction(sender: errand.sender, recipients: errand.recipients, content: ContentSummary())
    }

    /// - Returns: false when the content cannot be read.
    func surveyNextPiece() -> Bool {
        guard let piece = errand.content.piece(at: offset) else { return false }
        transaction.content.add(piece[...])
        if piece.count == errand.content.size { whole = piece }
        offset += piece.count
        guard offset >= errand.content.size else { return true }
        isSurveyed = true
        offset = 0
        return true
    }

    /// The next piece to send; nil when it cannot be read.
    func nextPiece() -> (bytes: [UInt8], isLast: Bool)? {
        guard let piece = whole ?? errand.content.piece(at: offset) else { return nil }
        offset += piece.count
        return (piece, offset >= errand.content.size)
    }

    /// From the beginning, on another connection.
    func rewind() { offset = 0 }
}
