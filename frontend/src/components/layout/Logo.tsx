const tones = [
  "#41b6c4",
  "#c7e9b4",
  "#1d91c0",
  "#edf8b1",
  "#225ea8",
  "#7fcdbb",
  "#1d91c0",
  "#7fcdbb",
  "#edf8b1",
];

/** A heatmap of nine modules. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="#0f2a43" />
      {tones.map((tone, index) => (
        <rect
          key={index}
          x={5 + (index % 3) * 7.7}
          y={5 + Math.floor(index / 3) * 7.7}
          width="6.6"
          height="6.6"
          rx="1.4"
          fill={tone}
        />
      ))}
    </svg>
  );
}
