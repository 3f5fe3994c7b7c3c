package import ControlFiles
package import Journal

extension Journal.Parameters {
    private static let segmentRange: ClosedRange<UInt64> = 1 << 20...1 << 30

    /// As `control/queuesegmentbytes` says.
    package init(_ control: ControlDirectory) throws {
        self.init()
        guard let bytes = try control.integer("queuesegmentbytes") else { return }
        guard Self.segmentRange.contains(bytes) else {
            throw ControlFileError(
                file: control.file("queuesegmentbytes"), line: 1,
                problem: "must be between \(Self.segmentRange.lowerBound) and \(Self.segmentRange.upperBound)")
        }
        segmentSize = Int(bytes) / 4096 * 4096
    }
}
