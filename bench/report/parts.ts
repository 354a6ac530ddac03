/** What a bench has to tell: tables and plots as data, for the terminal, for files and for the page alike. */

export interface Table {
  readonly title?: string
  readonly headings: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** What a reader must know of single columns or rows. */
  readonly note?: string
}

export interface Point {
  readonly x: number
  readonly y: number
  /** Least and most of the runs; as `y` where there is one value only. */
  readonly low: number
  readonly high: number
}

export interface Series {
  readonly name: string
  readonly points: readonly Point[]
  /** What it stands for: the library's lines are solid, references and peers are dashed. */
  readonly role: 'own' | 'floor' | 'peer'
}

export interface Axis {
  /** With the unit. */
  readonly label: string
  readonly scale: 'linear' | 'log'
  /** Where values are few and known, such as members: these get the ticks. */
  readonly ticks?: readonly number[]
  /** How ticks are written; default: three figures, thousands as k. */
  readonly format?: (value: number) => string
}

export interface Plot {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
}

export interface Figure {
  /** Of its file, without the ending. */
  readonly name: string
  readonly plot: Plot
  /** What it shows, in words, made from the figures. */
  readonly says: string
}

export interface BenchReport {
  readonly tables: readonly Table[]
  readonly figures: readonly Figure[]
}
