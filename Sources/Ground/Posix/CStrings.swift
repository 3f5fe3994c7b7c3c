private import Glibc

/// Strings as exec takes them: each NUL-terminated, NULL behind the last. What follows a NUL in a string is lost.
package func withCStrings<Result>(_ strings: [[UInt8]], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result) -> Result {
    // One piece of memory for all bytes, so that a hundred variables are no hundred allocations.
    var bytes: [UInt8] = []
    bytes.reserveCapacity(strings.reduce(0) { $0 + $1.count + 1 })
    var starts: [Int] = []
    for string in strings {
        starts.append(bytes.count)
        bytes.append(contentsOf: string)
        bytes.append(0)
    }
    return bytes.withUnsafeMutableBytes { memory in
        let pointers = starts.map { memory.baseAddress?.advanced(by: $0).assumingMemoryBound(to: CChar.self) }
        return (pointers + [nil]).withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("a list with its end is never empty") }
            return body(base)
        }
    }
}
