/** The product's mark: four strings of different length, sounding together. */
export function BrandMark({ className = "size-8" }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" className={className}>
      <rect width="32" height="32" rx="9" className="fill-[#0272b1]" />
      <g fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round">
        <path d="M8.5 13v6" />
        <path d="M13.5 9v14" />
        <path d="M18.5 12v8" />
        <path d="M23.5 14.5v3" />
      </g>
    </svg>
  );
}
