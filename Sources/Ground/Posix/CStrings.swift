private import Glibc

/// NUL-terminated strings and the NULL behind them, as exec takes them. What follows a NUL in a string is lost.
package final class CStrings {
    package let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    package init(_ strings: [[UInt8]]) {
        count = strings.count
        pointers = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() {
            let bytes = UnsafeMutablePointer<CChar>.allocate(capacity: string.count + 1)
            for (offset, byte) in string.enumerated() { (bytes + offset).initialize(to: CChar(bitPattern: byte)) }
            (bytes + string.count).initialize(to: 0)
            (pointers + index).initialize(to: bytes)
        }
        (pointers + count).initialize(to: nil)
    }

    deinit {
        for index in 0..<count { pointers[index]?.deallocate() }
        pointers.deallocate()
    }
}
