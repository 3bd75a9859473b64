"""Messages of on-board computers, written by hand after the schemas: V2.2, V2.4, and the Czech dialect."""

from __future__ import annotations

STOP_V22 = b"""<?xml version="1.0" encoding="UTF-8"?>
<TicketValidationService.GetCurrentTariffStopResponse>
  <CurrentTariffStopData>
    <TimeStamp><Value>2026-06-01T08:00:00</Value></TimeStamp>
    <CurrentTariffStop>
      <StopIndex><Value>7</Value></StopIndex>
      <StopRef><Value>de:08111:1502</Value></StopRef>
      <StopName><Value>Marktplatz</Value><Language>de</Language></StopName>
      <DisplayContent>
        <LineInformation>
          <LineRef><Value>kvb-15</Value></LineRef>
          <LineNumber><Value>15</Value></LineNumber>
        </LineInformation>
        <Destination><DestinationName><Value>Uni</Value><Language>de</Language></DestinationName></Destination>
      </DisplayContent>
      <FareZone><Value>2203</Value></FareZone>
      <FareZone><Value>2204</Value></FareZone>
    </CurrentTariffStop>
    <CurrentTripRef><Value>4711</Value></CurrentTripRef>
  </CurrentTariffStopData>
</TicketValidationService.GetCurrentTariffStopResponse>
"""
STOP_V24 = b"""<tvs:TicketValidationService.GetCurrentTariffStopResponse xmlns:tvs="http://example.org/tvs">
  <tvs:CurrentTariffStopData>
    <tvs:CurrentTariffStop>
      <tvs:StopIndex>7</tvs:StopIndex><tvs:StopRef>de:08111:1502</tvs:StopRef>
      <tvs:ArrivalExpected><tvs:Value>2026-06-01T08:00:00</tvs:Value></tvs:ArrivalExpected>
      <tvs:FareZone>2203</tvs:FareZone>
    </tvs:CurrentTariffStop>
  </tvs:CurrentTariffStopData>
</tvs:TicketValidationService.GetCurrentTariffStopResponse>
"""
STOP_BEFORE_V22 = b"""<TicketValidationService.GetCurrentStopPointResponse><CurrentStopPointData>
  <CurrentStopPoint><StopIndex><Value>1</Value></StopIndex><StopRef><Value>a</Value></StopRef></CurrentStopPoint>
</CurrentStopPointData></TicketValidationService.GetCurrentStopPointResponse>
"""
STOP_CZ = """<TicketValidationService.GetCurrentTariffStopResponse><CurrentTariffStopData>
  <CurrentTariffStop>
    <StopIndex><Value>2</Value></StopIndex>
    <StopName><Value>Náměstí</Value><Language>cs</Language></StopName>
    <DisplayContent><LineInformation><LineProperty>Day</LineProperty>
      <LineName><Value>607</Value><Language>cs</Language></LineName>
      <LineNumber><Value>225607</Value></LineNumber></LineInformation></DisplayContent>
    <FareZone>
      <FareZoneType><FareZoneTypeName><Value>IDOL</Value><Language>cs</Language></FareZoneTypeName></FareZoneType>
      <FareZoneLongName><Value>Liberec</Value></FareZoneLongName>
      <FareZoneShortName><Value>2203</Value></FareZoneShortName>
    </FareZone>
    <FareZone>
      <FareZoneType><FareZoneTypeName><Value>PID</Value><Language>cs</Language></FareZoneTypeName></FareZoneType>
      <FareZoneShortName><Value>3</Value></FareZoneShortName>
    </FareZone>
  </CurrentTariffStop>
</CurrentTariffStopData></TicketValidationService.GetCurrentTariffStopResponse>
""".encode()
RAZZIA = b"""<TicketValidationService.GetRazziaResponse><RazziaData>
  <TimeStamp><Value>2026-06-01T08:00:00</Value></TimeStamp><RazziaState>razzia</RazziaState>
</RazziaData></TicketValidationService.GetRazziaResponse>
"""
LINE = b"""<TicketValidationService.GetCurrentLineResponse><CurrentLineData><CurrentLine>
  <LineRef><Value>kvb-15</Value></LineRef>
  <LineShortName><Value>15</Value><Language>de</Language></LineShortName>
</CurrentLine></CurrentLineData></TicketValidationService.GetCurrentLineResponse>
"""
VEHICLE = b"""<TicketValidationService.GetVehicleDataResponse><VehicleData>
  <VehicleRef><Value>9632</Value></VehicleRef><RouteDeviation>offroute</RouteDeviation>
  <DoorOpenState>SingleDoorOpen</DoorOpenState>
  <VehicleMode><PtMainMode>BusSubmode</PtMainMode><BusSubmode>localBus</BusSubmode></VehicleMode>
</VehicleData></TicketValidationService.GetVehicleDataResponse>
"""
TRIP = b"""<TicketValidationService.RetrieveTripDataResponse><TripData><TripInformation>
  <TripRef><Value>4711</Value></TripRef>
  <StopSequence>
    <StopPoint><StopIndex><Value>1</Value></StopIndex><StopRef><Value>a</Value></StopRef></StopPoint>
    <StopPoint><StopIndex><Value>2</Value></StopIndex><StopRef><Value>b</Value></StopRef></StopPoint>
    <StopPoint><StopIndex><Value>3</Value></StopIndex><StopRef><Value>c</Value></StopRef></StopPoint>
  </StopSequence>
  <LocationState>AtStop</LocationState>
</TripInformation></TripData></TicketValidationService.RetrieveTripDataResponse>
"""
SUBSCRIBED = (
    b"<SubscribeResponse><Active><Value>true</Value></Active><Heartbeat><Value>PT60S</Value></Heartbeat>"
    b"</SubscribeResponse>"
)
FAILED = (
    b"<TicketValidationService.GetCurrentTariffStopResponse><OperationErrorMessage><Value>no trip</Value>"
    b"</OperationErrorMessage></TicketValidationService.GetCurrentTariffStopResponse>"
)
EVERY = (STOP_V22, STOP_V24, STOP_BEFORE_V22, STOP_CZ, RAZZIA, LINE, VEHICLE, TRIP, SUBSCRIBED, FAILED)
