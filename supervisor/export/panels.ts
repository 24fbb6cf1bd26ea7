/** What a dashboard is, as data: what each panel shows, and by which queries. grafana.ts makes Grafana's JSON of it. */

/** `instant`: only the present value; otherwise a line over time. */
export type Query = { readonly expr: string; readonly legend: string; readonly isInstant: boolean }
export type Panel = {
  readonly kind: 'stat' | 'timeseries' | 'statetimeline' | 'table' | 'heatmap'
  readonly title: string
  readonly description: string
  readonly unit: string
  /** Of 24 columns. */
  readonly width: number
  readonly queries: readonly Query[]
  /** Why a mesh that is well shows nothing here; null where it always shows something. */
  readonly emptyWhen: string | null
}
export type Row = { readonly title: string; readonly panels: readonly Panel[] }
export type DashboardData = {
  readonly id: string
  readonly title: string
  /** True for the one with a variable `service`. */
  readonly isOfService: boolean
  readonly rows: readonly Row[]
}

type Size = { readonly width: number; readonly emptyWhen?: string }

const query = (expr: string, legend = '', isInstant = false): Query => ({ expr, legend, isInstant })
const panel =
  (kind: Panel['kind'], isInstant: boolean) =>
  (
    title: string,
    description: string,
    unit: string,
    queries: Readonly<Record<string, string>>,
    { width, emptyWhen }: Size,
  ): Panel => ({
    kind,
    title,
    description,
    unit,
    width,
    queries: Object.entries(queries).map(([legend, expr]) => query(expr, legend, isInstant)),
    emptyWhen: emptyWhen ?? null,
  })
/** The present value, large. */
export const stat = panel('stat', true)
/** Lines over time. */
export const lines = panel('timeseries', false)
/** Bars over time, one colour a value. */
export const states = panel('statetimeline', false)
/** Present values in rows. */
export const table = panel('table', true)
/** A histogram over time. */
export const heatmap = panel('heatmap', false)
