/// A list of accounts: a table for people, fields behind tabs in a pipe, or an object of JSON a line.
struct AccountTable {
    private let titles: [String]
    private let isJSON: Bool
    private var rows: [[String]] = []

    init(_ titles: [String], isJSON: Bool) {
        self.titles = titles
        self.isJSON = isJSON
    }

    /// - Parameters:
    ///   - fields: of a line for programs.
    ///   - shown: of a line for people, where it says more.
    mutating func add(_ fields: [String], shown: [String]? = nil, json: [(String, String)]) {
        if isJSON { return print(JSON.object(json)) }
        guard Terminal.isOutput else { return print(fields.joined(separator: "\t")) }
        rows.append(shown ?? fields)
    }

    func finish() {
        guard !rows.isEmpty else { return }
        let widths = titles.indices.map { column in ([titles] + rows).map { $0[column].count }.max() ?? 0 }
        print(Terminal.styled(AccountTable.aligned(titles, widths), .bold))
        for row in rows { print(AccountTable.aligned(row, widths)) }
    }

    private static func aligned(_ row: [String], _ widths: [Int]) -> String {
        zip(row, widths).enumerated().map { index, cell in
            index == row.count - 1 ? cell.0 : cell.0 + String(repeating: " ", count: max(0, cell.1 - cell.0.count))
        }.joined(separator: "  ")
    }

    static func json(_ texts: [String]) -> String { "[\(texts.map(JSON.quoted).joined(separator: ","))]" }
}
